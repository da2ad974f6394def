/** What the API answers, before it becomes HTTP. */
export interface Answer {
  readonly status: number
  /** Absent only where there is nothing to describe. */
  readonly contentType?: string
  readonly body: string | Uint8Array
}

/** Content type of listings and single values, charset included as Nova sends it. */
export const plainText = 'text/plain; charset=UTF-8'
/** Content type of Nova's error pages and of `password`. */
export const html = 'text/html; charset=UTF-8'
/** Content type of documents; Nova names no charset with it. */
export const json = 'application/json'

/** A request that is refused, in Nova's words. */
export class NovaRefusal extends Error {
  override readonly name = 'NovaRefusal'
  readonly status: number

  constructor(status: number, explanation: string) {
    super(explanation)
    this.status = status
  }
}

const titles: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  409: 'Conflict',
  500: 'Internal Server Error',
}

/** The answer for every name that does not exist. */
export function notFound(): NovaRefusal {
  return new NovaRefusal(404, 'The resource could not be found.')
}

/** The weight that an `Accept` gives a media type: that of the most specific range which takes it in. */
function weightOf(mediaType: string, ranges: readonly string[]): number {
  const [kind = ''] = mediaType.split('/', 1)
  for (const wanted of [mediaType, `${kind}/*`, '*/*']) {
    const range = ranges.find((candidate) => candidate.split(';', 1)[0]?.trim() === wanted)
    if (range === undefined) continue
    const [, weight = '1'] = /;\s*q\s*=\s*([\d.]+)/.exec(range) ?? []
    return Number(weight)
  }
  return 0
}

/** Which of WebOb's three forms does an `Accept` want? */
function formOf(accept: string | undefined): 'html' | 'json' | 'plain' {
  const ranges = (accept ?? '').toLowerCase().split(',')
  const asHtml = weightOf('text/html', ranges)
  const asJson = weightOf('application/json', ranges)
  if (asHtml > 0 && asHtml >= asJson) return 'html'
  return asJson > 0 ? 'json' : 'plain'
}

/**
 * An error as WebOb renders it, down to its spaces: guests behind an agent that sends any `Accept` see the page.
 * The JSON form carries the page's line breaks inside its message, as the real one does.
 */
export function refusalAnswer(refusal: NovaRefusal, accept: string | undefined): Answer {
  const { status, message } = refusal
  const title = titles[status] ?? 'Error'
  const line = `${status} ${title}`
  const form = formOf(accept)
  if (form === 'html') {
    const head = ` <head>\n  <title>${line}</title>\n </head>\n`
    const text = ` <body>\n  <h1>${line}</h1>\n  ${message}<br /><br />\n\n\n\n </body>\n`
    return { status, contentType: html, body: `<html>\n${head}${text}</html>` }
  }
  if (form === 'json') {
    const page = { message: `${message}<br /><br />\n\n\n`, code: line, title }
    return { status, contentType: json, body: pythonJson(page) }
  }
  return { status, contentType: plainText, body: `${line}\n\n${message}\n\n   ` }
}

/** JSON as Python's `json.dumps` writes it: a space after each comma and colon, ASCII only. */
export function pythonJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(', ')}]`
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).filter(([, member]) => member !== undefined)
    return `{${members.map(([name, member]) => `${pythonJson(name)}: ${pythonJson(member)}`).join(', ')}}`
  }
  return JSON.stringify(value).replaceAll(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
