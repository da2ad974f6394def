// The package's main file loads fetch, caches and WebSockets too: 7 MB in each worker that none of them uses.
declare module 'undici/lib/dispatcher/client.js' {
  import { Client } from 'undici'
  export default Client
}
declare module 'undici/lib/dispatcher/pool.js' {
  import { Pool } from 'undici'
  export default Pool
}
declare module 'undici/lib/core/connect.js' {
  import { buildConnector } from 'undici'
  export default buildConnector
}
declare module 'undici/lib/core/symbols.js' {
  const symbols: { readonly kParser: symbol }
  export default symbols
}
