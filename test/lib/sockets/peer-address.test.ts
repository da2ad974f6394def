import type { Socket } from 'node:net'
import t from 'tap'
import { peerAddress, peerPort } from '../../../lib/sockets/peer-address.ts'

function socketWith(accessors: PropertyDescriptorMap): Socket {
  return Object.defineProperties({}, accessors) as Socket
}

t.test('peerAddress() and peerPort() give what the socket has', async (t) => {
  const socket = socketWith({ remoteAddress: { value: '192.0.2.1' }, remotePort: { value: 4711 } })
  t.equal(peerAddress(socket), '192.0.2.1')
  t.equal(peerPort(socket), '4711')
})

t.test('peerAddress() and peerPort() are empty where the socket does not have it', async (t) => {
  const gone = (): never => {
    throw new Error('ENXIO: no such device or address, uv_if_indextoiid')
  }
  const socket = socketWith({ remoteAddress: { get: gone }, remotePort: { get: gone } })
  t.equal(peerAddress(socket), '')
  t.equal(peerPort(socket), '')
  t.equal(peerAddress(socketWith({})), '')
})
