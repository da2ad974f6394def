import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import t from 'tap'
import { descriptorOf } from '../../../lib/sockets/descriptor.ts'

t.test('descriptorOf gives the number of an open socket, and none of a closed one', async (t) => {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  t.ok(Number(descriptorOf(server)) > 2)
  t.ok(Number(descriptorOf(socket)) > 2)
  t.not(descriptorOf(server), descriptorOf(socket))
  socket.destroy()
  server.close()
  await once(server, 'close')
  t.equal(descriptorOf(server), undefined)
  t.equal(descriptorOf(socket), undefined)
})
