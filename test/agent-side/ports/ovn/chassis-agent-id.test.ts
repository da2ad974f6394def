import t from 'tap'
import { chassisAgentId } from '../../../../agent-side/ports/ovn/chassis-agent-id.ts'

t.test('chassisAgentId() gives the ids that Neutron gives its own agent', async (t) => {
  // Made with Python's uuid.uuid5 by the rule of neutron/agent/ovn/metadata/agent.py.
  t.equal(chassisAgentId('ovt-hb-26130'), '3a744c73-531e-58f4-b8f2-7b9f95e31f69')
  t.equal(chassisAgentId('host-1'), 'dddb9eaa-ad62-5189-a7e1-426ef2b15c19')
  t.equal(
    chassisAgentId('7db2cd2a-950d-4002-9686-c1a5e95b63b8'),
    '37a01c00-d22c-5315-a851-c39213c6ecf1',
  )
  t.equal(
    chassisAgentId('7DB2CD2A-950D-4002-9686-C1A5E95B63B8'),
    '37a01c00-d22c-5315-a851-c39213c6ecf1',
  )
})
