/** Interceptors around what a handler asks of another job: each time that it is sent, and for a result until it is there or the attempt ends. */
import { NotAllowed } from "../errors.ts"
import type { Attempt } from "./attempt.ts"
import type { Headers, WorkCall } from "./interceptors.ts"
import { checkHeaders, intercepted } from "./interceptors.ts"
import type { Answer, Question } from "./question.ts"
import { errorOf } from "./question.ts"
import type { Reach } from "./reach.ts"

export interface InterceptedAsk {
  readonly attempt: Attempt
  readonly iteration: number
  readonly question: Question<unknown>
  readonly id: string
  /** Settles with the call, in this attempt. */
  readonly end: Promise<void>
}

const none: Headers = {}

export const interceptedAsk = (reach: Reach, { attempt, iteration, question, id, end }: InterceptedAsk): Promise<Answer> => {
  const { interceptors, kind, key, run, body, effects } = attempt.options
  const { headers = none } = body
  const outgoing: Record<string, string> = { ...headers }
  const call: WorkCall = {
    type: question.call.type,
    kind: kind.kind,
    key,
    run,
    iteration,
    attempt: (body.failures ?? 0) + 1,
    name: question.call.name,
    headers,
    abortSignal: attempt.abortSignal,
    to: question.call.to,
    ...(question.call.type === "start" ? { outgoing } : {}),
  }
  return new Promise((resolve, reject) => {
    let answer: Answer | undefined
    let refused: Error | undefined
    const send = async (): Promise<unknown> => {
      const told = await question.ask(reach, id, checkHeaders(outgoing))
      answer = told
      if (told === "later") {
        // the call goes on without the interceptors: they see its end
        resolve(told)
        return await end
      }
      if (told === "over" || !("e" in told)) return undefined
      throw (refused = errorOf(told.e))
    }
    intercepted(interceptors, call, send, effects).then(
      () =>
        answer === undefined
          ? reject(new NotAllowed(`an interceptor of ${question.name} gave an answer without having called next: call it, or throw`))
          : resolve(answer),
      (error: unknown) => (answer !== undefined && refused !== undefined && error === refused ? resolve(answer) : reject(error)),
    )
  })
}
