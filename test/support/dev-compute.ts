import { request as httpRequest, type Agent, type IncomingHttpHeaders } from 'node:http'
import { writeFile } from 'node:fs/promises'
import { startDevCompute, type DevCompute } from '../../agent-side/compute-dev/serve.ts'
import { systemClock, type Clock } from '../../lib/runtime/clock.ts'
import { parseInstanceId } from '../../lib/identity/ids.ts'
import { silentLogger } from '../../lib/runtime/log.ts'
import { Secret } from '../../lib/runtime/secret.ts'
import { signInstanceId } from '../../lib/wire/signature.ts'
import { makeWatchedFile, type WatchedFile } from './static-file.ts'

/** The secret of every development compute API of the tests. */
export const devSecret = 's3cr3t'

export interface RunningDevCompute extends DevCompute {
  readonly watched: WatchedFile
  closeAll(): Promise<void>
}

/** Starts a development compute API on a file of its own with this text. @param tcpPort any free one by default */
export async function runDevCompute(
  text: string,
  clock: Clock = systemClock,
  tcpPort = 0,
): Promise<RunningDevCompute> {
  const watched = await makeWatchedFile()
  await writeFile(watched.file, text)
  const compute = await startDevCompute({
    file: watched.file,
    listen: { host: '127.0.0.1', tcpPort },
    clock,
    logger: silentLogger,
    secret: new Secret(devSecret),
  })
  return Object.assign(compute, {
    watched,
    async closeAll() {
      await compute.close()
      await watched.remove()
    },
  })
}

/** The four headers with which an agent speaks for an instance. */
export function signedHeaders(instance: string, project: string): Record<string, string> {
  const instanceId = parseInstanceId(instance)
  if (instanceId === undefined) throw new TypeError(`"${instance}" cannot be an instance id`)
  return {
    'x-instance-id': instance,
    'x-tenant-id': project,
    'x-instance-id-signature': signInstanceId(new Secret(devSecret), instanceId),
    'x-forwarded-for': '10.0.0.10',
  }
}

export interface Reply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly type: string | undefined
  readonly body: Buffer
  readonly text: string
}

export interface Question {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
  readonly agent?: Agent
}

/** One request whose target is sent as it is. Without an agent it has a connection of its own. */
export function ask(base: string, target: string, question: Question = {}): Promise<Reply> {
  const { hostname, port } = new URL(base)
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      {
        hostname,
        port,
        path: target,
        method: question.method ?? 'GET',
        headers: { accept: '*/*', ...question.headers },
        agent: question.agent ?? false,
      },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          const body = Buffer.concat(chunks)
          const { headers, statusCode = 0 } = response
          const type = headers['content-type']
          resolve({ status: statusCode, headers, type, body, text: body.toString('utf8') })
        })
      },
    )
    request.on('error', reject)
    request.end(question.body)
  })
}
