import t from 'tap'
import { ingressPortOf } from '../../../../proxy/worker/guest/ingress-port.ts'

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
