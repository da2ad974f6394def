/**
 * Keeps SIGUSR1 from doing anything. Node opens its debugger on it, on a loopback port that every user of the host can use; and a worker,
 * which may start no thread by then, ends instead. Operators send that signal to daemons by habit, so that logs are opened again.
 */
export function ignoreDebuggerSignal(signals: NodeJS.Process = process): void {
  signals.on('SIGUSR1', () => undefined)
}
