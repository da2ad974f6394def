import t from 'tap'
import { forwardingStatus } from '../../../proxy/admin/forwarding-status.ts'

const auto = { forwarding: 'auto' } as const

t.test('forwardingStatus() counts workers by the way of their requests', async (t) => {
  t.strictSame(
    forwardingStatus(auto, [
      { forwarding: { way: 'compute' } },
      { forwarding: { way: 'compute' } },
      { forwarding: { way: 'agent', why: 'compute_unreached', failure: 'ECONNREFUSED' } },
    ]),
    {
      mode: 'auto',
      straight: 2,
      throughAgent: 1,
      why: 'the workers do not reach Nova: ECONNREFUSED',
    },
  )
})

t.test('forwardingStatus() gives each reason once', async (t) => {
  const none = { forwarding: { way: 'agent', why: 'no_leases' } } as const
  const early = { forwarding: { way: 'agent', why: 'none_granted' } } as const
  t.match(forwardingStatus(auto, [none, none, early]), {
    throughAgent: 3,
    why: /^the agent of this host grants no leases [^;]+; the agent has granted no lease yet$/,
  })
  const configured = { forwarding: { way: 'agent', why: 'configured' } } as const
  t.match(forwardingStatus({ forwarding: 'agent' }, [configured]), {
    mode: 'agent',
    why: 'forwarding is agent',
  })
})

t.test('a worker that has not reported yet counts for nothing', async (t) => {
  t.strictSame(forwardingStatus(auto, [{}]), { mode: 'auto', straight: 0, throughAgent: 0 })
})
