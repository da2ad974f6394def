"""A service manager with a descriptor store, as small as a test needs it.

service_manager.py NOTIFY_SOCKET PROGRAM [ARGUMENT...]

SIGHUP restarts the program as systemd does: SIGTERM, wait for the main process, start again with what is stored. So does the
death of the program by a signal. SIGTERM stops it for good. Everything that happens is a line of standard error.
"""
import array
import fcntl
import os
import select
import signal
import socket
import sys

path, command = sys.argv[1], sys.argv[2:]
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.bind(path)
store = {}
asked = []
signal.signal(signal.SIGHUP, lambda *_: asked.append('restart'))
signal.signal(signal.SIGTERM, lambda *_: asked.append('stop'))


def tell(text):
    print('manager: ' + text, file=sys.stderr, flush=True)


def start():
    pid = os.fork()
    if pid:
        tell('started %d with %d descriptors' % (pid, len(store)))
        return pid
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 5000) for fd in store.values()]
    for index, fd in enumerate(high):
        os.dup2(fd, 3 + index, inheritable=True)
    environment = {'NOTIFY_SOCKET': path}
    if store:
        environment.update(
            LISTEN_PID=str(os.getpid()),
            LISTEN_FDS=str(len(store)),
            LISTEN_FDNAMES=':'.join(store),
        )
    os.execve(command[0], command, environment)


def receive():
    while select.select([notify], [], [], 0)[0]:
        text, ancillary, _, _ = notify.recvmsg(4096, socket.CMSG_SPACE(4 * 16))
        fds = array.array('i')
        for _, _, data in ancillary:
            fds.frombytes(data)
        fields = dict(line.split('=', 1) for line in text.decode().splitlines())
        name = fields.get('FDNAME')
        if fields.get('FDSTORE') == '1' and len(fds) == 1:
            if name in store:
                os.close(fds[0])
            else:
                store[name] = fds[0]
                tell('stores %d' % len(store))
        elif fields.get('FDSTOREREMOVE') == '1':
            if name in store:
                os.close(store.pop(name))
            tell('stores %d' % len(store))
        else:
            tell(text.decode().replace('\n', ' '))


def ended(pid):
    done, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None


running = start()
stopping = None
while True:
    receive()
    code = ended(running)
    if code is not None:
        receive()
        tell('%d ended with %d' % (running, code))
        if stopping != 'restart' and code >= 0:
            sys.exit(code)
        stopping = None
        running = start()
    if asked and stopping is None:
        stopping = asked.pop(0)
        os.kill(running, signal.SIGTERM)
    select.select([notify], [], [], 0.01)
