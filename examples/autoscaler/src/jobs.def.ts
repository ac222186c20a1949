import { defineJob, type } from "@ponos/sdk/define"

export interface Picture {
  id: string
}

/** Makes a small picture of a large one. */
export const thumbnail = defineJob({ kind: "thumbnail", input: type<Picture>(), key: "id", result: type<string>() })
