// The jobs that the benches run: as small as real definitions can be.
import { defineJob, signal, type } from "@ponos/sdk/define"

export interface PingInput {
  id: string
  /** When its start was called, ms on the clock of clock.ts. */
  sentAt: number
}

/** Does nothing, once. */
export const ping = defineJob({ kind: "ping", input: type<PingInput>(), key: "id" })

export interface TenantInput {
  id: string
}

export interface TenantState {
  /** Accepted writes in all. */
  writes: number
  /** Fences of the last ones, the oldest first. */
  fences: string[]
}

/** Holds a resource, runs all the time, and writes now and then. */
export const tenant = defineJob({ kind: "tenant", input: type<TenantInput>(), state: type<TenantState>(), key: "id" })

export interface ParkedInput {
  id: string
  padding: string
  /** With a timer of a day; else it waits for a signal only. */
  timer: boolean
}

export interface ParkedState {
  padding: string
}

/** Parks at once, and again after each signal. */
export const parked = defineJob({
  kind: "parked",
  input: type<ParkedInput>(),
  state: type<ParkedState>(),
  key: "id",
  /** When it was sent, ms on the clock of clock.ts. */
  signals: { wake: signal<number>() },
})

export interface ListenerInput {
  id: string
}

/** Waits for signals inside of its iteration. */
export const listener = defineJob({
  kind: "listener",
  input: type<ListenerInput>(),
  key: "id",
  /** When it was sent, as above. */
  signals: { tick: signal<number>() },
})
