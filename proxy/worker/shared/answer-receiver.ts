/** Who gets the answer to a guest's request, whichever way it comes? */
import type { MetadataError } from '../../../lib/runtime/errors.ts'
import type { ReasonCode } from '../../../lib/runtime/reason-codes.ts'

/** Takes the answer to one request. Calls come in the order written; after `answerEnd` or `answerFailed` none follows. */
export interface AnswerReceiver {
  /** @param headers names and values in turn, only those that may reach a guest */
  answerHead(status: number, headers: string[], reason: ReasonCode | undefined): void
  /** @returns false when no more can be taken until `resume()` */
  answerData(chunk: Buffer): boolean
  answerEnd(): void
  /** The whole answer will not come; its head may have. */
  answerFailed(failure: MetadataError): void
}
