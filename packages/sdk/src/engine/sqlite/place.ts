/** A place in a ready list is a number that also tells when it was given. */

/** Places in one millisecond: the number of a place is a time times this, and goes on from the last one where that is later. */
const placesPerMs = 1_024
/** Times before it are mere places, of a file that was written before places were times. */
const firstTime = Date.UTC(2025, 0, 1)

export const firstPlaceAt = (time: number): number => time * placesPerMs

/** When the run at a place of the ready list became ready. */
export const timeOfPlace = (place: number | null): number | undefined => {
  const time = Math.floor((place ?? 0) / placesPerMs)
  return time < firstTime ? undefined : time
}
