"""The long-running proof that sessions never end by accident and always end on purpose.

    make torture SECONDS=600 SEED=1             run, then check; exit code 1 on any violation
    make torture ARGS="--without freeze"        without one of the nemeses (--help lists them)
    python -m torture check FILE                check a history again, without servers

A run starts a PostgreSQL of its own and two processes of the service (the second with two workers), each behind a proxy
that can lose answers. Owners follow the client's protocol exactly: they keep the last refresh token received and repeat
a request that got no answer or a 5xx, with the same token and the same `Idempotency-Key`. Now and then a second tab
brings, within the grace, a token that the first has spent. Every second owner adds an authenticator app, and then signs
in with a code of it, or a recovery code; each is good once. A thief copies the tokens of some sessions and uses them
whenever he likes, and tries the passwords of those who have an app with codes that they have used; a follower, who
comes from another network and device, watches the list of sessions for a sign of a rotation. Meanwhile a nemesis kills,
freezes and restarts whatever it can reach. Every attempt is one line of `history.jsonl`; `checker.py` then judges the
history alone.

What is smaller than in production, so that time passes quickly: grace 4 s, access tokens 60 s, sessions 120 s, argon2
with 64 KiB, and the six minutes for which a new signing key is published before it signs: the nemesis dates a pending
key back once it has been published for 20 s (every process reads the keys every 2 s), and a retired one once every
token that it signed has expired. The service's own schedule then takes the step.

PostgreSQL runs with fsync=off. That loses commits only when the operating system crashes, which nobody does here: what
a killed process had written is in the kernel's cache and survives. Pages could be torn by a SIGKILL in the middle of a
write, so full_page_writes is on. The choices of each actor follow from the seed; the interleaving does not.

    history.py   what is written down, and how it is read again
    world.py     the database, the processes and their proxies
    wire.py      one attempt and its line in the history; repetition until there is an answer
    owners.py    honest people with several devices
    apps.py      the authenticator app of an owner, and its recovery codes
    calls.py     the requests, and what the history may say about them
    probes.py    what is tried with a session after its end
    thief.py     who copies tokens
    staff.py     who disables and enables accounts
    nemesis.py   who breaks things
    run.py       one run from start to quiescence
    model.py     the history put in order: users, sessions, chains, and what may have ended them
    checker.py   the rules (chains.py, finality.py, ending.py, users.py and factors.py hold them) and the summary
"""
