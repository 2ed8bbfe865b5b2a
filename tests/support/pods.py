"""Pods for tests of the embedded cluster: they only hold a network; host programs run inside it."""



_ANSWER = b"hello\n"
# Echoes until it is killed; one line on stdout says that it listens.
_SERVER = """
import socket, sys, threading
listener = socket.create_server(("0.0.0.0", int(sys.argv[1])))
print("ready", flush=True)
def serve(peer):
    while received := peer.recv(100): peer.sendall(received)
while True: threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""
_ASK = """
import socket, sys
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=float(sys.argv[3])) as peer:
        peer.sendall(b"hello")
        sys.exit(0 if peer.recv(100) == b"hello" else 1)
except OSError as error:
    print(error)
    sys.exit(1)
"""
