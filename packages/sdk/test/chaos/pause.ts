/** Rejects with the reason of the abort. */
export const pause = (ms: number, abort: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms)
    const stop = (): void => {
      clearTimeout(timer)
      reject(abort.reason as Error)
    }
    if (abort.aborted) stop()
    else abort.addEventListener("abort", stop, { once: true })
  })
