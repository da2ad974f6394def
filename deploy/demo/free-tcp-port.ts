import { createServer } from 'node:net'

/** A TCP port of loopback that no process listens on at this moment. */
export function freeTcpPort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen({ host: '127.0.0.1', port: 0 }, () => {
      const address = server.address()
      const tcpPort = typeof address === 'object' && address !== null ? address.port : 0
      server.close(() => resolve(tcpPort))
    })
  })
}
