/** Why a try is stopped when its worker drains. */
import { Deposed } from "../errors.ts"

export const leaving = (): Error => new Deposed("the worker is going away: this try was stopped and runs again elsewhere.")
