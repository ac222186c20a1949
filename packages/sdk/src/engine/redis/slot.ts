/** From a key to its slot, as Redis does it: CRC16 of the hash tag. */
const slots = 16_384

const table = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1
  return crc
})

/** The prefixes of shards and their channels come again and again; the names of streams and maps may be many. */
const cacheSize = 20_000
const known = new Map<string, number>()

export function slotOf(key: string): number {
  const cached = known.get(key)
  if (cached !== undefined) return cached
  const open = key.indexOf("{")
  const close = open < 0 ? -1 : key.indexOf("}", open + 1)
  const hashed = close > open + 1 ? key.slice(open + 1, close) : key
  let crc = 0
  for (const byte of Buffer.from(hashed)) crc = ((crc << 8) & 0xffff) ^ (table[(crc >> 8) ^ byte] ?? 0)
  if (known.size >= cacheSize) known.clear()
  known.set(key, crc % slots)
  return crc % slots
}
