import { readdirSync, readlinkSync } from 'node:fs'

/** The namespace of each thread of this process, `net:[4026531840]`, each once. More than one is a defect. */
export function namespacesOfThreads(): string[] {
  const links = readdirSync('/proc/self/task').map(linkOfThread)
  return [...new Set(links.filter((link) => link !== undefined))]
}

function linkOfThread(thread: string): string | undefined {
  try {
    return readlinkSync(`/proc/self/task/${thread}/ns/net`)
  } catch {
    // The thread ended between the listing and the look.
    return undefined
  }
}
