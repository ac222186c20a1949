/** What an entry made by this attempt brings, delivered when its write was acknowledged. */
export interface Live {
  deliver(): void
  /** The handler ended before it saw this: what its message asks must not be lost. */
  readonly unseen: (() => void) | undefined
  /** How many calls the handler is to have made before: those that are recorded, if it makes them again soon. */
  made: number
  acknowledged: boolean
}

export const delivery = (deliver: () => void, unseen?: () => void, made = 0): Live => ({ deliver, unseen, made, acknowledged: false })
