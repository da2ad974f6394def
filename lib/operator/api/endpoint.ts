/** How is one endpoint of an admin socket described? */
import type { z } from '../../files/schema.ts'
import { filterNames } from '../request-event.ts'
import { alive, health, history, message, requestEvent } from './shared.ts'

/** What an answer is: JSON of a form, or text of a content type. */
export type ApiAnswer = z.ZodType | { readonly contentType: string; readonly of?: z.ZodType }

/** One method of one path. */
export interface ApiEndpoint {
  readonly method: 'get' | 'post'
  readonly path: string
  readonly summary: string
  /** Names of query parameters, none of which must be given by itself. */
  readonly query?: readonly string[]
  readonly body?: z.ZodType
  readonly answers: Readonly<Record<number, ApiAnswer>>
}

/** The endpoints that both daemons have. */
export function commonEndpoints({
  status,
  audit,
  auditRequest,
}: Readonly<Record<'status' | 'audit' | 'auditRequest', z.ZodType>>): readonly ApiEndpoint[] {
  return [
    {
      method: 'get',
      path: '/health',
      summary: 'Is the process alive?',
      answers: { 200: alive },
    },
    {
      method: 'get',
      path: '/ready',
      summary: 'Can guests be served? 503 while none can.',
      answers: { 200: health, 503: health },
    },
    {
      method: 'get',
      path: '/status',
      summary: 'How does the daemon stand?',
      answers: { 200: status },
    },
    {
      method: 'get',
      path: '/metrics',
      summary: 'Metrics in the exposition format of Prometheus.',
      answers: { 200: { contentType: 'text/plain' } },
    },
    {
      method: 'get',
      path: '/events',
      summary:
        'Requests of guests as they end, as server-sent events: "watching" at the beginning, "request" with this form, and "missed" with a count.',
      query: filterNames,
      answers: {
        200: { contentType: 'text/event-stream', of: requestEvent },
        400: message,
        503: message,
      },
    },
    {
      method: 'get',
      path: '/audit',
      summary: 'Is everything as it should be? Changes nothing.',
      answers: { 200: audit, 503: message },
    },
    {
      method: 'post',
      path: '/audit',
      summary: 'The same of some scopes, and as which instance each address would be answered.',
      body: auditRequest,
      answers: { 200: audit, 400: message, 415: message, 503: message },
    },
    {
      method: 'get',
      path: '/history',
      summary: 'How did the last hour go, minute by minute?',
      answers: { 200: history },
    },
    {
      method: 'get',
      path: '/',
      summary: 'Where the page for people is.',
      answers: { 200: { contentType: 'text/plain' } },
    },
  ]
}
