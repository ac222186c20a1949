/** What keepers and sessions tell of a lease, written down by name: `abort`, `depose trust ended`, … */
export const leaseEvents = () => {
  const told: Array<string> = []
  const tell = (what: string) => (detail?: string | number) => void told.push(detail === undefined ? what : `${what} ${detail}`)
  const events = {
    onReading: () => {},
    onAbort: tell("abort"),
    onDepose: tell("depose"),
    onResume: tell("resume"),
    onMarkedDead: () => {},
    onMarkRefused: () => {},
    onStore: () => {},
    onDead: tell("dead"),
  }
  return { told, tell, events }
}
