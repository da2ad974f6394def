/** A compute metadata API that names the instance it is asked for, and at /bytes/N gives an answer of that length. Argument: its address. */
import { createServer, type ServerResponse } from 'node:http'

const piece = Buffer.alloc(64 * 1024, 'x')

/** Piece by piece, so that nobody waits here for those who ask for much. */
function writeLong(response: ServerResponse, left: number): void {
  if (left === 0) {
    response.end()
    return
  }
  const part = piece.subarray(0, Math.min(left, piece.length))
  response.write(part, () => writeLong(response, left - part.length))
}

const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  const bytes = Number(/^\/bytes\/(\d+)$/.exec(request.url ?? '')?.[1] ?? 0)
  request.resume()
  const instance = String(request.headers['x-instance-id'])
  const length = bytes > 0 ? bytes : instance.length
  response.writeHead(200, { 'content-type': 'text/plain', 'content-length': length })
  if (bytes > 0) writeLong(response, bytes)
  else response.end(instance)
})
server.listen({ host: process.argv[2], port: 0, backlog: 4_096 }, () => {
  const address = server.address()
  process.send?.(typeof address === 'object' && address !== null ? address.port : 0)
})
process.once('disconnect', () => process.exit(0))
