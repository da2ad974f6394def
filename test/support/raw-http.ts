import { connect, type Socket } from 'node:net'

/** An answer as a guest's program would read it. */
export interface RawAnswer {
  readonly status: number
  /** Status line and fields as they came. */
  readonly head: string
  readonly fields: readonly (readonly [name: string, value: string])[]
  readonly body: Buffer
  /** The first value of a field; names in lower case. */
  field(name: string): string | undefined
}

export interface RawTarget {
  readonly host: string
  readonly tcpPort: number
}

/** A guest with a bare socket: writes any bytes and reads what comes. */
export class RawConnection {
  readonly socket: Socket
  /** True once the other side has reset the connection. */
  isReset = false
  #received = Buffer.alloc(0)
  #isEnded = false
  readonly #waiting: (() => void)[] = []

  private constructor(socket: Socket) {
    this.socket = socket
    const wake = (): void => {
      for (const resume of this.#waiting.splice(0)) resume()
    }
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk])
      wake()
    })
    socket.on('error', (cause: NodeJS.ErrnoException) => {
      if (cause.code === 'ECONNRESET') this.isReset = true
    })
    const ended = (): void => {
      this.#isEnded = true
      wake()
    }
    socket.on('end', ended)
    socket.on('close', ended)
  }

  static async open(target: RawTarget): Promise<RawConnection> {
    return await RawConnection.over(
      connect({ host: target.host, port: target.tcpPort, noDelay: true }),
    )
  }

  /** Over a socket that is connecting from where the test wants it. */
  static async over(socket: Socket): Promise<RawConnection> {
    const connection = new RawConnection(socket)
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return connection
  }

  /** Over a socket that is connected already. */
  static wrap(socket: Socket): RawConnection {
    return new RawConnection(socket)
  }

  get isEnded(): boolean {
    return this.#isEnded
  }

  /** Resolves when the kernel has the bytes; never fails, since a refused guest may write into a closed connection. */
  async write(bytes: string | Buffer): Promise<void> {
    await new Promise<void>((resolve) => {
      this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes, () =>
        resolve(),
      )
    })
  }

  /** One answer, by its framing. @returns `undefined` when the connection ended before a whole one came */
  async answer(options: { isHead?: boolean } = {}): Promise<RawAnswer | undefined> {
    for (;;) {
      const taken = takeAnswer(this.#received, this.#isEnded, options.isHead ?? false)
      if (taken !== undefined) {
        this.#received = this.#received.subarray(taken.length)
        return taken.answer
      }
      if (this.#isEnded) return undefined
      await this.#more()
    }
  }

  /** Everything up to the end of the connection that has not been taken yet. */
  async rest(): Promise<Buffer> {
    while (!this.#isEnded) await this.#more()
    const rest = this.#received
    this.#received = Buffer.alloc(0)
    return rest
  }

  /** Waits until at least so many bytes lie unread. */
  async received(count: number): Promise<Buffer> {
    while (this.#received.length < count && !this.#isEnded) await this.#more()
    return this.#received
  }

  /** With nothing unread, the other side cannot tell this from the end of the sending half alone. */
  close(): void {
    this.socket.destroy()
  }

  /** Leaves so that the other side knows it. A UNIX socket has no reset, and no half-closing peers either. */
  reset(): void {
    if (this.socket.remoteFamily === undefined) this.socket.destroy()
    else this.socket.resetAndDestroy()
  }

  async #more(): Promise<void> {
    await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }
}

/** Sends bytes on a new connection and reads one answer. */
export async function askRaw(
  target: RawTarget,
  bytes: string | Buffer,
): Promise<RawAnswer | undefined> {
  const connection = await RawConnection.open(target)
  void connection.write(bytes)
  const isHead = bytes.toString('latin1', 0, 5) === 'HEAD '
  const answer = await connection.answer({ isHead })
  connection.close()
  return answer
}

/** A plain request, the one that must always work. */
export function get(path: string, ...fields: string[]): string {
  return [`GET ${path} HTTP/1.1`, 'Host: 169.254.169.254', ...fields, '', ''].join('\r\n')
}

function takeAnswer(
  bytes: Buffer,
  isEnded: boolean,
  isHead: boolean,
): { answer: RawAnswer; length: number } | undefined {
  const headEnd = bytes.indexOf('\r\n\r\n')
  if (headEnd < 0) return undefined
  const head = bytes.toString('latin1', 0, headEnd)
  const [start = '', ...lines] = head.split('\r\n')
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(start)?.[1] ?? 0)
  const fields = lines.map((line) => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon), line.slice(colon + 1).trim()] as const
  })
  const field = (name: string): string | undefined =>
    fields.find(([own]) => own.toLowerCase() === name)?.[1]
  const from = headEnd + 4
  const answerOf = (body: Buffer, length: number) => ({
    answer: { status, head, fields, body, field },
    length,
  })
  if (isHead || status < 200 || status === 204 || status === 304) {
    return answerOf(Buffer.alloc(0), from)
  }
  if (field('transfer-encoding')?.toLowerCase() === 'chunked') {
    const taken = takeChunks(bytes, from)
    return taken && answerOf(taken.body, taken.end)
  }
  const length = field('content-length')
  if (length !== undefined) {
    const end = from + Number(length)
    return bytes.length < end ? undefined : answerOf(bytes.subarray(from, end), end)
  }
  return isEnded ? answerOf(bytes.subarray(from), bytes.length) : undefined
}

function takeChunks(bytes: Buffer, from: number): { body: Buffer; end: number } | undefined {
  const chunks: Buffer[] = []
  let at = from
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at)
    if (lineEnd < 0) return undefined
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16)
    const end = lineEnd + 2 + size + 2
    if (bytes.length < end) return undefined
    if (size === 0) return { body: Buffer.concat(chunks), end }
    chunks.push(bytes.subarray(lineEnd + 2, end - 2))
    at = end
  }
}
