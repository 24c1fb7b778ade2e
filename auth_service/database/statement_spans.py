"""Statements as spans, named `UPDATE refresh_tokens`: never by their text, which may hold values."""

from typing import Any

from sqlalchemy import CTE, ExceptionContext, Join, Select, Subquery, TextClause, UpdateBase, event
from sqlalchemy.ext.asyncio import AsyncEngine

from auth_service.tracing import SPAN, Span

SYSTEM, SUMMARY = "db.system.name", "db.query.summary"  # OpenTelemetry's conventions for databases
_SPAN = "auth_service_span"


def watch(engine: AsyncEngine) -> None:
    """Make a span of each statement that this engine executes; those of the hot path go past it, to the driver."""
    event.listen(engine.sync_engine, "before_cursor_execute", _begin)
    event.listen(engine.sync_engine, "after_cursor_execute", _end)
    event.listen(engine.sync_engine, "handle_error", _fail)


def name_of(clause: Any) -> str:
    """Return the verb and the table of a statement of SQLAlchemy's, or of the CTE that it reads: of its answer."""
    if isinstance(clause, TextClause):
        return _verb(clause.text)
    if isinstance(clause, UpdateBase):
        return f"{clause.__visit_name__.upper()} {_table(clause.entity_description['table'])}"
    source = _first_source(clause) if isinstance(clause, Select) else None
    if isinstance(source, CTE | Subquery):
        return name_of(source.element)
    return f"SELECT {_table(source)}" if source is not None else "SELECT"


def _first_source(clause: "Select[Any]") -> Any:
    found: Any = next(iter(clause.get_final_froms()), None)
    while isinstance(found, Join):
        found = found.left
    return found


def _table(source: Any) -> str:
    """The table's own name, also where the statement has another for it."""
    return str(getattr(getattr(source, "element", source), "name", ""))


def _verb(text: str) -> str:
    return text.split(maxsplit=1)[0].upper()


def _begin(_connection: object, _cursor: object, statement: str, _values: object, context: Any, _many: bool) -> None:
    around = SPAN.get()
    if not around or not around.is_recorded:
        return
    compiled = getattr(context, "compiled", None)
    name = name_of(compiled.statement) if compiled is not None and compiled.statement is not None else _verb(statement)
    setattr(context, _SPAN, around.part(name, "CLIENT", {SYSTEM: context.dialect.name, SUMMARY: name}))


def _end(_connection: object, _cursor: object, _statement: str, _values: object, context: Any, _many: bool) -> None:
    if begun := _begun(context):
        begun.end()


def _fail(failure: ExceptionContext) -> None:
    if begun := _begun(failure.execution_context):
        begun.fail(type(failure.original_exception).__qualname__)
        begun.end()


def _begun(context: object) -> Span | None:
    return getattr(context, _SPAN, None)
