/** What would be loaded late, by which time this process may not be able to read it? */
import { bindLibc } from '../../../lib/linux/libc.ts'

/** Loads what is otherwise loaded at its first use. */
export function preload(): void {
  bindLibc()
}
