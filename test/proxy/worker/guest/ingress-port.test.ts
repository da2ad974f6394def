import t from 'tap'
import { FakeClock } from '../../../support/fake-clock.ts'
import { ingressPortOf, ingressPortReader } from '../../../../proxy/worker/guest/ingress-port.ts'

t.test('ingressPortOf() reads the port out of the name that Neutron gives', async (t) => {
  t.equal(ingressPortOf('qr-4d2a7c11-9e'), '4d2a7c11-9e')
})

t.test('ingressPortOf() calls everything else other, and what is gone too', async (t) => {
  for (const name of [
    'lo',
    'eth0',
    'qg-4d2a7c11-9e',
    'rfp-4d2a7c11-9',
    'tap4d2a7c11-9e',
    'qr-4D2A7C11-9E',
    'qr-4d2a7c11-9',
    'qr-other',
    'qr-',
    '',
    undefined,
  ]) {
    t.equal(ingressPortOf(name), 'other', String(name))
  }
})

t.test('the name of an interface is read once a second for each listener', async (t) => {
  const clock = new FakeClock()
  const names = new Map([
    [1, 'lo'],
    [7, 'qr-4d2a7c11-9e'],
  ])
  const asked: number[] = []
  const read = ingressPortReader(
    {
      indexOf: (fd) => fd,
      nameOf: (_fd, index) => {
        asked.push(index)
        return names.get(index)
      },
    },
    clock,
  )
  const peer = { address: '10.0.0.10', interfaceIndex: 0 } as Parameters<typeof read>[1]
  const [one, other] = [{}, {}]
  t.equal(read(0, peer, one), undefined, 'the kernel does not know')
  for (let time = 0; time < 3; time += 1) t.equal(read(7, peer, one), '4d2a7c11-9e')
  t.strictSame(asked, [7])
  t.equal(read(7, peer, other), '4d2a7c11-9e')
  t.strictSame(asked, [7, 7], 'an index is one of a namespace')

  names.set(7, 'qr-5e2a7c11-9e')
  clock.pass(999)
  t.equal(read(7, peer, one), '4d2a7c11-9e')
  clock.pass(1)
  t.equal(read(7, peer, one), '5e2a7c11-9e')
  t.equal(read(1, peer, one), 'other')
  names.set(1, 'qr-6e2a7c11-9e')
  t.equal(read(1, peer, one), '6e2a7c11-9e', 'what is none is not remembered')
})
