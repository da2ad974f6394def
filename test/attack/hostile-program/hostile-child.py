# What a broken worker leaves behind: a process in a session of its own that keeps every socket it is handed, accepts and never answers.
# As long as the file `later` is there, it does not become the workers' account.
import os, select, socket, sys, time

user, group, holding, later = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]


def become_account():
    os.setgroups([])
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)


if not os.path.exists(later):
    become_account()
worker = socket.socket(fileno=3)
listeners, connections = [], []
while True:
    if os.getuid() != user and not os.path.exists(later):
        become_account()
    for ready in select.select([worker, *listeners] if worker else listeners, [], [], 0.1)[0]:
        if ready is worker:
            _, fds, _, _ = socket.recv_fds(worker, 64, 253)
            if not fds:
                worker = None
                continue
            listeners += [socket.socket(fileno=fd) for fd in fds]
            with open(holding, "a") as file:
                file.write(f"{os.getpid()}\n")
        else:
            try:
                connections.append(ready.accept())
            except OSError:
                pass
    if not worker and not listeners:
        time.sleep(0.1)
