/**
 * Repeats a call until it is answered or its deadline is over: all verbs are safe to repeat (E3). Who serves a key may change between two
 * tries, by a failover or because its slot moved.
 */
import type { Connection } from "./connection.ts"
import { closedFault, ConnectionLost, isPassing, redirectOf, type Redirect, toFault, unavailable } from "./faults.ts"

export interface Route {
  readonly shown: string
  readonly callTimeout: number
  readonly closed: boolean
  readonly lastError: unknown
  /** To who serves the key as far as is known; undefined while there is none. */
  connectionOf(key: string): Connection | undefined
  /** Resolves when there may be a connection, or after `ms`. */
  changed(key: string, ms: number): Promise<void>
  /** The call was not done by this connection: finds out who serves now. */
  failed(connection: Connection, error: unknown): void
  /** Who shall be asked for this one call. */
  asked(redirect: Redirect, connection: Connection, ms: number): Promise<Connection | undefined>
}

export type Call = (connection: Connection, timeout: number) => Promise<unknown>

/** Between repetitions of a call that the server refused for the moment. */
const refusedPause = 50
const shortestTry = 100
/** `background`: it does not keep the process alive. */
export const pause = (ms: number, background = false) =>
  new Promise<void>((done) => {
    const timer = setTimeout(done, ms)
    if (background) timer.unref()
  })

/** Nearly every call is answered at the first try: that one costs no more than its answer. */
export function repeated(route: Route, key: string, call: Call): Promise<unknown> {
  const connection = route.closed ? undefined : route.connectionOf(key)
  const deadline = performance.now() + route.callTimeout
  if (!connection) return tried(route, key, call, deadline)
  return call(connection, route.callTimeout / 2).catch((error: unknown) => tried(route, key, call, deadline, { connection, error }))
}

interface Failure {
  readonly connection: Connection
  readonly error: unknown
}

async function tried(route: Route, key: string, call: Call, deadline: number, first?: Failure): Promise<unknown> {
  const { callTimeout } = route
  // A try that has no time for an answer would only cost everybody the connection.
  const shortest = Math.min(shortestTry, callTimeout / 10)
  let detour: Connection | undefined
  let redirects = 0
  let failure = first
  for (;;) {
    if (failure) {
      const { connection, error } = failure
      failure = undefined
      detour = undefined
      if (!isPassing(error)) throw toFault(route.shown, error)
      route.failed(connection, error)
      const redirect = redirectOf(error)
      // The first are followed at once: the server knows where to go. More of them in a row are a map that is being drawn.
      if (redirect && ++redirects % 4 !== 0) {
        if (redirect.asking) detour = await route.asked(redirect, connection, Math.max(1, deadline - performance.now()))
      } else if (!(error instanceof ConnectionLost)) await pause(Math.min(refusedPause, Math.max(0, deadline - performance.now())))
    }
    if (route.closed) throw closedFault(route.shown)
    const left = deadline - performance.now()
    if (left <= shortest) throw unavailable(route.shown, callTimeout, route.lastError)
    const connection = detour ?? route.connectionOf(key)
    if (!connection) {
      await route.changed(key, left)
      continue
    }
    try {
      // Half of the deadline, so that a connection that died silently leaves time for another one.
      const timeout = Math.min(left, callTimeout / 2)
      // One turn, so that nothing comes between the two.
      if (detour) connection.command("asking", [], timeout).catch(() => {})
      return await call(connection, timeout)
    } catch (error) {
      failure = { connection, error }
    }
  }
}
