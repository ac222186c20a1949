/** An address that is wrong, as a message may show it: what stands before its last `@` may be a password, whatever else is wrong. */
export const withoutPassword = (address: string): string => JSON.stringify(address.replace(/^([a-z]+:(\/\/)?)?.*@/is, "$1…@").slice(0, 200))
