"""The calls of Kubernetes to an engine (CRI), as far as tests need them, by gRPC without its generated code.

SPDX-License-Identifier: Apache-2.0

A message is a dict {number of the field: value}; a value is a number, a text, a message, or a list of such. The numbers
are those of runtime.v1, k8s.io/cri-api.
"""
import grpc

SERVICE = "/runtime.v1.RuntimeService/"
CALL_MAX = 400
VARINT, BYTES = 0, 2


def varint(number):
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def encode(message):
    out = b""
    for field, value in message.items():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, int):
                out += varint(field << 3 | VARINT) + varint(item)
                continue
            data = encode(item) if isinstance(item, dict) else item.encode()
            out += varint(field << 3 | BYTES) + varint(len(data)) + data
    return out


def read_varint(data, at):
    number = shift = 0
    while True:
        number |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return number, at


def decode(data):
    """{number of the field: its last value}, a number or bytes."""
    fields, at = {}, 0
    while at < len(data):
        key, at = read_varint(data, at)
        number, at = read_varint(data, at)
        if key & 7 == BYTES:
            fields[key >> 3], at = data[at : at + number], at + number
        else:
            fields[key >> 3] = number
    return fields


class Cri:
    """A client of the engine at this socket."""

    def __init__(self, path):
        self.channel = grpc.insecure_channel(f"unix://{path}", options=[("grpc.enable_http_proxy", 0)])

    def call(self, name, **message):
        """The members of the message are named f1, f2: by the numbers of their fields."""
        method = self.channel.unary_unary(SERVICE + name, request_serializer=encode, response_deserializer=decode)
        fields = {int(key[1:]): value for key, value in message.items()}
        return method(fields, timeout=CALL_MAX, wait_for_ready=True)

    def run_sandbox(self, config, handler):
        return self.call("RunPodSandbox", f1=config, f2=handler)[1].decode()

    def create(self, sandbox, config, sandbox_config):
        return self.call("CreateContainer", f1=sandbox, f2=config, f3=sandbox_config)[1].decode()

    def exec(self, container, *words):
        """(exit code, standard output)"""
        got = self.call("ExecSync", f1=container, f2=list(words), f3=CALL_MAX)
        return got.get(3, 0), got.get(1, b"").decode()

    def status(self, container):
        """(state, exit code); 1 is running, 2 exited."""
        got = decode(self.call("ContainerStatus", f1=container)[1])
        return got.get(3, 0), got.get(7, 0)


def sandbox_config(name, logs):
    metadata = {1: name, 2: f"uid-{name}", 3: "default"}
    return {1: metadata, 2: name, 3: str(logs), 8: {}}


def container_config(name, image, *words):
    return {1: {1: name}, 2: {1: image}, 3: list(words), 11: f"{name}.log"}
