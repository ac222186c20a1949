/** Milliseconds on the host's monotonic clock: the same clock in every process of one host, and no step of the wall clock moves it. */
export const clock = (): number => {
  const [seconds, nanoseconds] = process.hrtime()
  return seconds * 1_000 + nanoseconds / 1_000_000
}
