/** `job` of the model, as one branch of the handler sees it. */
import type { Job } from "./handler.ts"
import type { Message, Model, State } from "./model.ts"
import { activityRetryMs, activityTries, stepRetryMs } from "./program.ts"

export const plain = (tag: string): Error => Object.assign(new Error(tag), { name: tag, _tag: tag })

interface Saga {
  undo(name: string, body: () => void): void
}

export class ModelJob implements Job {
  readonly #model: Model
  readonly #branch: string

  constructor(model: Model, branch: string) {
    this.#model = model
    this.#branch = branch
  }

  get iteration(): number {
    return this.#model.iteration
  }
  get attempt(): number {
    return this.#model.attempt
  }
  get wake(): Model["wake"] {
    return this.#model.wake
  }
  get state(): State {
    this.#model.chance.touch("state", this.#branch)
    this.#model.hasLooked = true
    return this.#model.state
  }

  #move(): void {
    this.#model.chance.moved(this.#branch)
  }

  /** Waits, unless the run is asked to end meanwhile. */
  #wait(ms: number | undefined, wants?: (message: Message) => boolean): Promise<Message | undefined> {
    const { clock, waits } = this.#model
    this.#model.wrote()
    this.#move()
    return new Promise((resolve, reject) => {
      const over = (): void => {
        stop?.()
        waits.delete(wait)
        this.#model.wrote()
        this.#move()
      }
      const stop =
        ms === undefined
          ? undefined
          : clock.at(clock.now + ms, () => {
              over()
              resolve(undefined)
            })
      const wait = {
        cancel: (error: Error) => {
          over()
          reject(error)
        },
        drop: () => stop?.(),
        ...(wants === undefined ? {} : { wants }),
        offer: (message: Message) => {
          over()
          this.#model.chance.touch("signals", this.#branch)
          resolve(message)
          return true
        },
      }
      waits.add(wait)
    })
  }

  async step(
    _name: string,
    body: () => unknown,
    { retry, commit }: { retry?: { attempts?: number }; commit?: string } = {},
  ): Promise<unknown> {
    this.#move()
    const { chance, clock } = this.#model
    for (let failures = 1; ; failures++) {
      if (commit !== "deferred") this.#model.settled()
      try {
        const value = body()
        if (commit === "deferred") this.#model.deferred()
        else this.#model.wrote()
        return value
      } catch (error) {
        if (failures >= (retry?.attempts ?? 1)) {
          this.#model.deferred()
          throw error
        }
      }
      const from = clock.now
      if (this.#model.writesBeside) chance.faultsTell = true
      try {
        await this.#backOff(stepRetryMs)
      } catch (ended) {
        // with fewer failures than it may have: one that was lost with its worker may go well the next time
        chance.faultsTell = true
        this.#model.deferred()
        throw ended
      }
      chance.waited(from, clock.now < from + stepRetryMs)
      this.#move()
    }
  }

  /** A step's wait is in memory. */
  #backOff(ms: number): Promise<void> {
    const { clock, waits } = this.#model
    return new Promise((resolve, reject) => {
      const over = (): void => {
        stop()
        waits.delete(wait)
      }
      const stop = clock.at(clock.now + ms, () => {
        over()
        resolve()
      })
      const wait = {
        cancel: (error: Error) => {
          over()
          reject(error)
        },
        drop: stop,
      }
      waits.add(wait)
    })
  }

  async sleep(ms: number): Promise<void> {
    await this.#wait(ms)
  }

  async receive(name: string, { timeout, filter }: { timeout?: number; filter?: (payload: string) => boolean }): Promise<unknown> {
    const wants = (message: Message): boolean => message.name === name && (filter === undefined || filter(message.payload ?? ""))
    const known = this.#take(wants)
    if (known !== undefined) this.#model.wrote()
    return known ?? this.#wait(timeout, wants)
  }

  poll(name: string): unknown {
    const message = this.#take((one) => name === "" || one.name === name)
    this.#model.polled()
    return message
  }

  #take(wants: (message: Message) => boolean): Message | undefined {
    this.#move()
    this.#model.chance.touch("signals", this.#branch)
    const found = this.#model.unread.find(wants)
    if (found === undefined) return undefined
    this.#model.hasRead = true
    this.#model.unread = this.#model.unread.filter((message) => message !== found)
    return found
  }

  readonly activities = {
    shout: async (input: string): Promise<unknown> => {
      const [fails, declared] = input.split(" ")
      this.#model.wrote()
      this.#move()
      if (declared === "true" && fails !== "0") throw plain("Rejected")
      for (let tries = 1; tries <= Number(fails); tries++) {
        if (tries === activityTries) throw plain("ActivityFailed")
        await this.#wait(activityRetryMs)
      }
      return "ok"
    },
  }

  readonly jobs: Job["jobs"] = {
    helper: {
      start: async ({ id }, { onParentEnd }) => {
        const { children } = this.#model
        this.#asks()
        children.start(id, onParentEnd)
        return {
          signal: {
            go: async () => {
              this.#asks()
              children.go(id)
            },
          },
          result: async () => {
            this.#asks()
            if (children.outcomeOf(id) === undefined) await this.#childEnds(id)
            if (children.outcomeOf(id) === "Gone") throw plain("Gone")
            return "child"
          },
        }
      },
    },
  }

  #asks(): void {
    this.#model.wrote()
    this.#move()
  }

  #childEnds(key: string): Promise<void> {
    const { children, waits } = this.#model
    return new Promise((resolve, reject) => {
      const over = (): void => {
        forget()
        waits.delete(wait)
        this.#asks()
      }
      const forget = children.onEnd(key, () => {
        over()
        resolve()
      })
      const wait = {
        cancel: (error: Error) => {
          over()
          reject(error)
        },
        drop: forget,
      }
      waits.add(wait)
    })
  }

  version(_change: string, _min: number, max: number): number {
    this.#move()
    return max
  }

  async saga(body: (saga: Saga) => unknown): Promise<unknown> {
    const undo: Array<() => void> = []
    try {
      return await body({ undo: (_, compensate) => undo.unshift(compensate) })
    } catch (error) {
      for (const compensate of undo) {
        this.#move()
        compensate()
        this.#model.wrote()
      }
      throw error
    }
  }

  again(): unknown {
    return undefined
  }
  done(): unknown {
    return undefined
  }
}
