"""What crosses a process border: the protobuf contract, its codec, HTTP bodies and bus subjects."""
