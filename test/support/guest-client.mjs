// A guest's raw TCP client: standard input to HOST PORT, the answer to standard output, exit 3 when there is none.
import { connect } from 'node:net'

const [host, tcpPort] = process.argv.slice(2)
const socket = connect({ host, port: Number(tcpPort), allowHalfOpen: true })
socket.setTimeout(10_000, () => {
  const stage = socket.connecting ? 'connecting' : `waiting, ${socket.bytesRead} bytes read`
  socket.destroy(new Error(`timed out ${stage}`))
})
socket.on('error', (cause) => {
  process.stderr.write(`${cause.message}\n`)
  process.exitCode = 3
})
socket.on('end', () => socket.end())
socket.on('connect', () => process.stdin.on('data', (bytes) => socket.write(bytes)))
socket.pipe(process.stdout)
