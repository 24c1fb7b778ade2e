/** The types of `request()`, taken from the OpenAPI document. */

import type { components, paths } from "./schema.js";

export type Method = "GET" | "POST" | "PATCH" | "DELETE";

interface Operation {
  parameters: { path?: unknown; query?: unknown };
  responses: unknown;
}

/** The paths for users and administrators that know this method. */
export type PathOf<M extends Method> = {
  [P in keyof paths]: paths[P] extends Record<Lowercase<M>, Operation> ? P : never;
}[keyof paths & (`/auth/${string}` | `/admin/${string}`)];

type OperationOf<M extends Method, P extends PathOf<M>> = paths[P] extends Record<Lowercase<M>, infer O> ? O : never;

// `never`, of what a route does not take, would do for anything that is asked: it goes first.
type BodyOf<O> = O extends { requestBody?: never }
  ? { body?: never }
  : O extends { requestBody: { content: { "application/json": infer B } } }
    ? { body: B }
    : O extends { requestBody?: { content: { "application/json": infer B } } }
      ? { body?: B }
      : unknown;

type ParamsOf<O> = O extends { parameters: { path?: never } }
  ? { params?: never }
  : O extends { parameters: { path: infer Params } }
    ? { params: Params }
    : unknown;

type QueryOf<O> = O extends { parameters: { query?: never } }
  ? { query?: never }
  : O extends { parameters: { query?: infer Query } }
    ? { query?: Query }
    : unknown;

type Options<O> = BodyOf<O> & ParamsOf<O> & QueryOf<O>;

/** What is sent beside method and path: `body`, `params` of the path, and `query`. */
export type OptionsOf<M extends Method, P extends PathOf<M>> =
  object extends Options<OperationOf<M, P>>
    ? [options?: Options<OperationOf<M, P>>]
    : [options: Options<OperationOf<M, P>>];

type Successful = 200 | 201 | 202 | 204;

type Said<Responses> = {
  [S in keyof Responses & Successful]: Responses[S] extends { content: { "application/json": infer Body } }
    ? Body
    : undefined;
}[keyof Responses & Successful];

/** What the service answers. */
export type AnswerOf<M extends Method, P extends PathOf<M>> =
  OperationOf<M, P> extends { responses: infer R } ? Said<R> : never;

export type Schemas = components["schemas"];
