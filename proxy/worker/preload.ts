/** What would be loaded late, by which time this process may not be able to read it? */
// The HTTP client compiles its parser at the first connection, the second where there is no SIMD.
import 'undici/lib/llhttp/llhttp_simd-wasm.js'
import 'undici/lib/llhttp/llhttp-wasm.js'
import { bindLibc } from '../netns/libc.ts'

/** Loads what is otherwise loaded at its first use. Importing this file does the rest. */
export function preload(): void {
  bindLibc()
}
