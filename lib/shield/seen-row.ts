/** What does a report of the shield hold about one program of one guest? In files and in answers of the admin socket. */
import { z } from '../files/schema.ts'
import { isReasonCode } from '../runtime/reason-codes.ts'
import { documentClasses } from './document-class.ts'
import { shields } from './shields.ts'

const count = z.int().min(0)
const id = z.string().min(1).max(255)
/** Milliseconds since the epoch. */
const at = count

/** Requests that did not pass a shield. */
const finding = z.strictObject({
  /** Of the last one. */
  reason: z.string().refine(isReasonCode),
  requests: count,
  lastAt: at,
})

/** One program of a guest, and one class of documents that it requests. */
export const seenRow = z.strictObject({
  instanceId: id,
  projectId: id,
  networkId: id,
  scope: z.string().regex(/^(?:router|network)\/./),
  /** Its User-Agent; `-` without one. */
  client: z.string().max(80),
  documents: z.enum(documentClasses),
  requests: count,
  firstAt: at,
  lastAt: at,
  lastTarget: z.string().max(120),
  /** By shield, those that it did not always pass. */
  findings: z.partialRecord(z.enum(shields), finding),
  /** By shield, when a request was last served without a look at it, since the policy had it off. */
  unlooked: z.partialRecord(z.enum(shields), at),
})

/** @see seenRow */
export type SeenRow = z.output<typeof seenRow>
/** How often requests did not pass a shield. */
export type SeenFinding = z.output<typeof finding>

/** The whole report. */
export const shieldReport = z.strictObject({
  now: at,
  policy: z.strictObject({
    file: z.string().optional(),
    loadedAt: at,
    /** Why the file as it is now is not used. */
    refusal: z.string().optional(),
    rules: count,
    /** Those for which no guest was seen. */
    unmatched: z.array(z.string()).readonly().default([]),
  }),
  /** The last time of guests that had to be forgotten for others. */
  forgottenAt: at.optional(),
  seen: z.array(seenRow),
})

/** @see shieldReport */
export type ShieldReport = z.output<typeof shieldReport>
