/**
 * What a worker measured of late: queueing delays, and how busy it was. A ring of slots; counting touches the current one only, and what
 * leaves the window goes into the sum over the worker's life.
 */
import { addTo, emptyHistogram, type Histogram } from "../../telemetry/histogram.ts"

export const slotCount = 12

interface Slot {
  readonly delays: Histogram
  busy: number
  samples: number
}

export class LoadWindow {
  readonly slotMs: number
  readonly #slots: ReadonlyArray<Slot>
  readonly #before = emptyHistogram()
  #current: Slot
  #at = 0
  #slotEnd: number
  /** Sum of all delays counted, ms. */
  delaySum = 0

  constructor(windowMs: number, now: number) {
    this.slotMs = windowMs / slotCount
    const slots = Array.from({ length: slotCount }, (): Slot => ({ delays: emptyHistogram(), busy: 0, samples: 0 }))
    this.#slots = slots
    this.#current = slots[0] as Slot
    this.#slotEnd = now + this.slotMs
  }

  get delays(): Histogram {
    return this.#current.delays
  }

  /** `busy`: share of the worker that is in use, 0 … 1. */
  sample(now: number, busy: number): void {
    this.advance(now)
    this.#current.busy += busy
    this.#current.samples++
  }

  /** Lets go of what is older than the window. */
  advance(now: number): void {
    // after a long sleep of the process all slots are over; more turns would change nothing
    if (now - this.#slotEnd > this.slotMs * slotCount) this.#slotEnd = now - this.slotMs * slotCount
    while (now >= this.#slotEnd) {
      this.#slotEnd += this.slotMs
      this.#at = (this.#at + 1) % slotCount
      this.#current = this.#slots[this.#at] as Slot
      addTo(this.#before, this.#current.delays)
      this.#current.delays.fill(0)
      this.#current.busy = 0
      this.#current.samples = 0
    }
  }

  recent(): { readonly delays: Histogram; readonly utilisation: number } {
    const delays = emptyHistogram()
    let busy = 0
    let samples = 0
    for (const slot of this.#slots) {
      addTo(delays, slot.delays)
      busy += slot.busy
      samples += slot.samples
    }
    return { delays, utilisation: samples === 0 ? 0 : busy / samples }
  }

  /** Delays since the worker began. */
  ever(): Histogram {
    const delays = emptyHistogram()
    addTo(delays, this.#before)
    for (const slot of this.#slots) addTo(delays, slot.delays)
    return delays
  }
}
