/** How does a guest get its token? */
import type { Seconds } from '../../lib/runtime/clock.ts'
import { wireHeaders } from '../../lib/wire/wire-headers.ts'
import type { Downstream } from '../compute/exchange.ts'

/** Answers a request for a token as EC2 does: the token is the body, its life comes back in the header that requested it. */
export function giveToken(
  downstream: Pick<Downstream, 'start' | 'write' | 'end'>,
  { token, life }: { readonly token: string; readonly life: Seconds },
): void {
  downstream.start(200, [
    'content-type',
    'text/plain',
    'content-length',
    String(token.length),
    'cache-control',
    'no-store',
    wireHeaders.tokenTtl,
    String(life),
  ])
  downstream.write(Buffer.from(token, 'latin1'))
  downstream.end()
}
