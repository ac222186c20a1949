/** Turns of the event loop, counted for the whole process, and only while somebody asks: all microtasks of a turn are over before the next one. */
let turn = 0
let counting = false

const next = (): void => {
  turn++
  counting = false
}

export const currentTurn = (): number => {
  if (!counting) {
    counting = true
    setImmediate(next)
  }
  return turn
}
