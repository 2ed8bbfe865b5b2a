from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PaymentState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PAYMENT_STATE_UNSPECIFIED: _ClassVar[PaymentState]
    PAYMENT_STATE_OPEN: _ClassVar[PaymentState]
    PAYMENT_STATE_SETTLED: _ClassVar[PaymentState]
    PAYMENT_STATE_REFUSED: _ClassVar[PaymentState]

class AttemptState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ATTEMPT_STATE_UNSPECIFIED: _ClassVar[AttemptState]
    ATTEMPT_STATE_OPEN: _ClassVar[AttemptState]
    ATTEMPT_STATE_POSTED: _ClassVar[AttemptState]
    ATTEMPT_STATE_CLOSED: _ClassVar[AttemptState]
PAYMENT_STATE_UNSPECIFIED: PaymentState
PAYMENT_STATE_OPEN: PaymentState
PAYMENT_STATE_SETTLED: PaymentState
PAYMENT_STATE_REFUSED: PaymentState
ATTEMPT_STATE_UNSPECIFIED: AttemptState
ATTEMPT_STATE_OPEN: AttemptState
ATTEMPT_STATE_POSTED: AttemptState
ATTEMPT_STATE_CLOSED: AttemptState

class RegisterNodeRequest(_message.Message):
    __slots__ = ("node_id", "role", "currency", "object_uid", "generation", "links_to")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    OBJECT_UID_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    LINKS_TO_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    role: str
    currency: str
    object_uid: str
    generation: int
    links_to: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, node_id: _Optional[str] = ..., role: _Optional[str] = ..., currency: _Optional[str] = ..., object_uid: _Optional[str] = ..., generation: _Optional[int] = ..., links_to: _Optional[_Iterable[str]] = ...) -> None: ...

class DisableNodeRequest(_message.Message):
    __slots__ = ("node_id",)
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    def __init__(self, node_id: _Optional[str] = ...) -> None: ...

class NodeRecord(_message.Message):
    __slots__ = ("node_id", "role", "currency", "enabled", "object_uid", "generation", "links", "version")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    OBJECT_UID_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    LINKS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    role: str
    currency: str
    enabled: bool
    object_uid: str
    generation: int
    links: _containers.RepeatedCompositeFieldContainer[LinkRecord]
    version: int
    def __init__(self, node_id: _Optional[str] = ..., role: _Optional[str] = ..., currency: _Optional[str] = ..., enabled: _Optional[bool] = ..., object_uid: _Optional[str] = ..., generation: _Optional[int] = ..., links: _Optional[_Iterable[_Union[LinkRecord, _Mapping]]] = ..., version: _Optional[int] = ...) -> None: ...

class ListNodesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListNodesReply(_message.Message):
    __slots__ = ("nodes",)
    NODES_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedCompositeFieldContainer[NodeRecord]
    def __init__(self, nodes: _Optional[_Iterable[_Union[NodeRecord, _Mapping]]] = ...) -> None: ...

class LinkPolicy(_message.Message):
    __slots__ = ("base_fee", "fee_rate_ppm", "latency_ms")
    BASE_FEE_FIELD_NUMBER: _ClassVar[int]
    FEE_RATE_PPM_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    base_fee: str
    fee_rate_ppm: int
    latency_ms: int
    def __init__(self, base_fee: _Optional[str] = ..., fee_rate_ppm: _Optional[int] = ..., latency_ms: _Optional[int] = ...) -> None: ...

class RegisterLinkRequest(_message.Message):
    __slots__ = ("from_node", "to_node", "policy", "declared_volume", "object_uid", "generation")
    FROM_NODE_FIELD_NUMBER: _ClassVar[int]
    TO_NODE_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    DECLARED_VOLUME_FIELD_NUMBER: _ClassVar[int]
    OBJECT_UID_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    from_node: str
    to_node: str
    policy: LinkPolicy
    declared_volume: str
    object_uid: str
    generation: int
    def __init__(self, from_node: _Optional[str] = ..., to_node: _Optional[str] = ..., policy: _Optional[_Union[LinkPolicy, _Mapping]] = ..., declared_volume: _Optional[str] = ..., object_uid: _Optional[str] = ..., generation: _Optional[int] = ...) -> None: ...

class LinkRecord(_message.Message):
    __slots__ = ("from_node", "to_node", "policy", "declared_volume", "liquidity_volume", "version", "enabled", "currency")
    FROM_NODE_FIELD_NUMBER: _ClassVar[int]
    TO_NODE_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    DECLARED_VOLUME_FIELD_NUMBER: _ClassVar[int]
    LIQUIDITY_VOLUME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    from_node: str
    to_node: str
    policy: LinkPolicy
    declared_volume: str
    liquidity_volume: str
    version: int
    enabled: bool
    currency: str
    def __init__(self, from_node: _Optional[str] = ..., to_node: _Optional[str] = ..., policy: _Optional[_Union[LinkPolicy, _Mapping]] = ..., declared_volume: _Optional[str] = ..., liquidity_volume: _Optional[str] = ..., version: _Optional[int] = ..., enabled: _Optional[bool] = ..., currency: _Optional[str] = ...) -> None: ...

class GraphSnapshotRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GraphSnapshotReply(_message.Message):
    __slots__ = ("nodes", "stream_sequence")
    NODES_FIELD_NUMBER: _ClassVar[int]
    STREAM_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedCompositeFieldContainer[NodeRecord]
    stream_sequence: int
    def __init__(self, nodes: _Optional[_Iterable[_Union[NodeRecord, _Mapping]]] = ..., stream_sequence: _Optional[int] = ...) -> None: ...

class BeginPaymentRequest(_message.Message):
    __slots__ = ("payment_id", "client_id", "body_sha256", "from_node", "to_node", "amount", "currency")
    PAYMENT_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    BODY_SHA256_FIELD_NUMBER: _ClassVar[int]
    FROM_NODE_FIELD_NUMBER: _ClassVar[int]
    TO_NODE_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    payment_id: str
    client_id: str
    body_sha256: bytes
    from_node: str
    to_node: str
    amount: str
    currency: str
    def __init__(self, payment_id: _Optional[str] = ..., client_id: _Optional[str] = ..., body_sha256: _Optional[bytes] = ..., from_node: _Optional[str] = ..., to_node: _Optional[str] = ..., amount: _Optional[str] = ..., currency: _Optional[str] = ...) -> None: ...

class Payment(_message.Message):
    __slots__ = ("payment_id", "client_id", "from_node", "to_node", "amount", "currency", "state", "refusal_code", "refusal_detail", "created_at_ms", "ended_at_ms", "attempts")
    PAYMENT_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    FROM_NODE_FIELD_NUMBER: _ClassVar[int]
    TO_NODE_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_CODE_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_DETAIL_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    payment_id: str
    client_id: str
    from_node: str
    to_node: str
    amount: str
    currency: str
    state: PaymentState
    refusal_code: str
    refusal_detail: str
    created_at_ms: int
    ended_at_ms: int
    attempts: _containers.RepeatedCompositeFieldContainer[Attempt]
    def __init__(self, payment_id: _Optional[str] = ..., client_id: _Optional[str] = ..., from_node: _Optional[str] = ..., to_node: _Optional[str] = ..., amount: _Optional[str] = ..., currency: _Optional[str] = ..., state: _Optional[_Union[PaymentState, str]] = ..., refusal_code: _Optional[str] = ..., refusal_detail: _Optional[str] = ..., created_at_ms: _Optional[int] = ..., ended_at_ms: _Optional[int] = ..., attempts: _Optional[_Iterable[_Union[Attempt, _Mapping]]] = ...) -> None: ...

class Hop(_message.Message):
    __slots__ = ("from_node", "to_node", "amount", "policy")
    FROM_NODE_FIELD_NUMBER: _ClassVar[int]
    TO_NODE_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    from_node: str
    to_node: str
    amount: str
    policy: LinkPolicy
    def __init__(self, from_node: _Optional[str] = ..., to_node: _Optional[str] = ..., amount: _Optional[str] = ..., policy: _Optional[_Union[LinkPolicy, _Mapping]] = ...) -> None: ...

class BeginAttemptRequest(_message.Message):
    __slots__ = ("payment_id", "attempt", "hops", "timeout_ms")
    PAYMENT_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    HOPS_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    payment_id: str
    attempt: int
    hops: _containers.RepeatedCompositeFieldContainer[Hop]
    timeout_ms: int
    def __init__(self, payment_id: _Optional[str] = ..., attempt: _Optional[int] = ..., hops: _Optional[_Iterable[_Union[Hop, _Mapping]]] = ..., timeout_ms: _Optional[int] = ...) -> None: ...

class Attempt(_message.Message):
    __slots__ = ("payment_id", "attempt", "state", "hops", "holds", "opened_at_ms", "deadline_ms", "ended_at_ms", "close_reason", "failed_node")
    PAYMENT_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    HOPS_FIELD_NUMBER: _ClassVar[int]
    HOLDS_FIELD_NUMBER: _ClassVar[int]
    OPENED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_MS_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    CLOSE_REASON_FIELD_NUMBER: _ClassVar[int]
    FAILED_NODE_FIELD_NUMBER: _ClassVar[int]
    payment_id: str
    attempt: int
    state: AttemptState
    hops: _containers.RepeatedCompositeFieldContainer[Hop]
    holds: _containers.RepeatedCompositeFieldContainer[HoldRecord]
    opened_at_ms: int
    deadline_ms: int
    ended_at_ms: int
    close_reason: str
    failed_node: str
    def __init__(self, payment_id: _Optional[str] = ..., attempt: _Optional[int] = ..., state: _Optional[_Union[AttemptState, str]] = ..., hops: _Optional[_Iterable[_Union[Hop, _Mapping]]] = ..., holds: _Optional[_Iterable[_Union[HoldRecord, _Mapping]]] = ..., opened_at_ms: _Optional[int] = ..., deadline_ms: _Optional[int] = ..., ended_at_ms: _Optional[int] = ..., close_reason: _Optional[str] = ..., failed_node: _Optional[str] = ...) -> None: ...

class HoldRecord(_message.Message):
    __slots__ = ("hop", "hold_id", "state", "entry_seq", "entry_hash")
    HOP_FIELD_NUMBER: _ClassVar[int]
    HOLD_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ENTRY_SEQ_FIELD_NUMBER: _ClassVar[int]
    ENTRY_HASH_FIELD_NUMBER: _ClassVar[int]
    hop: int
    hold_id: str
    state: str
    entry_seq: int
    entry_hash: bytes
    def __init__(self, hop: _Optional[int] = ..., hold_id: _Optional[str] = ..., state: _Optional[str] = ..., entry_seq: _Optional[int] = ..., entry_hash: _Optional[bytes] = ...) -> None: ...

class HoldRequest(_message.Message):
    __slots__ = ("payment_id", "attempt", "hop")
    PAYMENT_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    HOP_FIELD_NUMBER: _ClassVar[int]
    payment_id: str
    attempt: int
    hop: int
    def __init__(self, payment_id: _Optional[str] = ..., attempt: _Optional[int] = ..., hop: _Optional[int] = ...) -> None: ...

class HoldReply(_message.Message):
    __slots__ = ("hold_id", "deadline_ms")
    HOLD_ID_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_MS_FIELD_NUMBER: _ClassVar[int]
    hold_id: str
    deadline_ms: int
    def __init__(self, hold_id: _Optional[str] = ..., deadline_ms: _Optional[int] = ...) -> None: ...

class PostAttemptRequest(_message.Message):
    __slots__ = ("payment_id", "attempt", "hold_ids")
    PAYMENT_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    HOLD_IDS_FIELD_NUMBER: _ClassVar[int]
    payment_id: str
    attempt: int
    hold_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, payment_id: _Optional[str] = ..., attempt: _Optional[int] = ..., hold_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class CloseAttemptRequest(_message.Message):
    __slots__ = ("payment_id", "attempt", "reason", "failed_node")
    PAYMENT_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FAILED_NODE_FIELD_NUMBER: _ClassVar[int]
    payment_id: str
    attempt: int
    reason: str
    failed_node: str
    def __init__(self, payment_id: _Optional[str] = ..., attempt: _Optional[int] = ..., reason: _Optional[str] = ..., failed_node: _Optional[str] = ...) -> None: ...

class RefusePaymentRequest(_message.Message):
    __slots__ = ("payment_id", "code", "detail")
    PAYMENT_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    payment_id: str
    code: str
    detail: str
    def __init__(self, payment_id: _Optional[str] = ..., code: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class GetPaymentRequest(_message.Message):
    __slots__ = ("payment_id",)
    PAYMENT_ID_FIELD_NUMBER: _ClassVar[int]
    payment_id: str
    def __init__(self, payment_id: _Optional[str] = ...) -> None: ...

class TransferRequest(_message.Message):
    __slots__ = ("transfer_id", "debit_account", "credit_account", "amount", "currency")
    TRANSFER_ID_FIELD_NUMBER: _ClassVar[int]
    DEBIT_ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    CREDIT_ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    transfer_id: str
    debit_account: str
    credit_account: str
    amount: str
    currency: str
    def __init__(self, transfer_id: _Optional[str] = ..., debit_account: _Optional[str] = ..., credit_account: _Optional[str] = ..., amount: _Optional[str] = ..., currency: _Optional[str] = ...) -> None: ...

class TransferReply(_message.Message):
    __slots__ = ("transfer_id", "entry_seq", "entry_hash")
    TRANSFER_ID_FIELD_NUMBER: _ClassVar[int]
    ENTRY_SEQ_FIELD_NUMBER: _ClassVar[int]
    ENTRY_HASH_FIELD_NUMBER: _ClassVar[int]
    transfer_id: str
    entry_seq: int
    entry_hash: bytes
    def __init__(self, transfer_id: _Optional[str] = ..., entry_seq: _Optional[int] = ..., entry_hash: _Optional[bytes] = ...) -> None: ...

class GetBalanceRequest(_message.Message):
    __slots__ = ("account_id",)
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    account_id: str
    def __init__(self, account_id: _Optional[str] = ...) -> None: ...

class Balance(_message.Message):
    __slots__ = ("account_id", "owner", "currency", "kind", "posted", "held", "available")
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    POSTED_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    account_id: str
    owner: str
    currency: str
    kind: str
    posted: str
    held: str
    available: str
    def __init__(self, account_id: _Optional[str] = ..., owner: _Optional[str] = ..., currency: _Optional[str] = ..., kind: _Optional[str] = ..., posted: _Optional[str] = ..., held: _Optional[str] = ..., available: _Optional[str] = ...) -> None: ...

class Entry(_message.Message):
    __slots__ = ("seq", "prev_hash", "hash", "version", "transfer_id", "kind", "debit_account", "credit_account", "amount", "currency", "ref", "created_at_ms", "epoch")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    PREV_HASH_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TRANSFER_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    DEBIT_ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    CREDIT_ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    REF_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    seq: int
    prev_hash: bytes
    hash: bytes
    version: int
    transfer_id: str
    kind: str
    debit_account: str
    credit_account: str
    amount: str
    currency: str
    ref: str
    created_at_ms: int
    epoch: int
    def __init__(self, seq: _Optional[int] = ..., prev_hash: _Optional[bytes] = ..., hash: _Optional[bytes] = ..., version: _Optional[int] = ..., transfer_id: _Optional[str] = ..., kind: _Optional[str] = ..., debit_account: _Optional[str] = ..., credit_account: _Optional[str] = ..., amount: _Optional[str] = ..., currency: _Optional[str] = ..., ref: _Optional[str] = ..., created_at_ms: _Optional[int] = ..., epoch: _Optional[int] = ...) -> None: ...

class ListEntriesRequest(_message.Message):
    __slots__ = ("account_id", "after_seq", "limit")
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQ_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    account_id: str
    after_seq: int
    limit: int
    def __init__(self, account_id: _Optional[str] = ..., after_seq: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class ListEntriesReply(_message.Message):
    __slots__ = ("entries", "head_seq")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    HEAD_SEQ_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[Entry]
    head_seq: int
    def __init__(self, entries: _Optional[_Iterable[_Union[Entry, _Mapping]]] = ..., head_seq: _Optional[int] = ...) -> None: ...

class VerifyRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class VerifyReply(_message.Message):
    __slots__ = ("ok", "entries", "head_seq", "head_hash", "anchored_seq", "unanchored", "findings", "sums", "elapsed_ms", "anchors_unread")
    class SumsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    OK_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    HEAD_SEQ_FIELD_NUMBER: _ClassVar[int]
    HEAD_HASH_FIELD_NUMBER: _ClassVar[int]
    ANCHORED_SEQ_FIELD_NUMBER: _ClassVar[int]
    UNANCHORED_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    SUMS_FIELD_NUMBER: _ClassVar[int]
    ELAPSED_MS_FIELD_NUMBER: _ClassVar[int]
    ANCHORS_UNREAD_FIELD_NUMBER: _ClassVar[int]
    ok: bool
    entries: int
    head_seq: int
    head_hash: bytes
    anchored_seq: int
    unanchored: int
    findings: _containers.RepeatedCompositeFieldContainer[Finding]
    sums: _containers.ScalarMap[str, str]
    elapsed_ms: int
    anchors_unread: str
    def __init__(self, ok: _Optional[bool] = ..., entries: _Optional[int] = ..., head_seq: _Optional[int] = ..., head_hash: _Optional[bytes] = ..., anchored_seq: _Optional[int] = ..., unanchored: _Optional[int] = ..., findings: _Optional[_Iterable[_Union[Finding, _Mapping]]] = ..., sums: _Optional[_Mapping[str, str]] = ..., elapsed_ms: _Optional[int] = ..., anchors_unread: _Optional[str] = ...) -> None: ...

class Finding(_message.Message):
    __slots__ = ("kind", "seq", "detail")
    KIND_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    kind: str
    seq: int
    detail: str
    def __init__(self, kind: _Optional[str] = ..., seq: _Optional[int] = ..., detail: _Optional[str] = ...) -> None: ...

class ForwardRequest(_message.Message):
    __slots__ = ("payment_id", "attempt", "currency", "hops", "hop", "budget_ms")
    PAYMENT_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    HOPS_FIELD_NUMBER: _ClassVar[int]
    HOP_FIELD_NUMBER: _ClassVar[int]
    BUDGET_MS_FIELD_NUMBER: _ClassVar[int]
    payment_id: str
    attempt: int
    currency: str
    hops: _containers.RepeatedCompositeFieldContainer[Hop]
    hop: int
    budget_ms: int
    def __init__(self, payment_id: _Optional[str] = ..., attempt: _Optional[int] = ..., currency: _Optional[str] = ..., hops: _Optional[_Iterable[_Union[Hop, _Mapping]]] = ..., hop: _Optional[int] = ..., budget_ms: _Optional[int] = ...) -> None: ...

class ForwardReply(_message.Message):
    __slots__ = ("hold_ids", "posted", "closed", "error_code", "error_detail", "failed_node", "failed_link_from", "failed_link_to")
    HOLD_IDS_FIELD_NUMBER: _ClassVar[int]
    POSTED_FIELD_NUMBER: _ClassVar[int]
    CLOSED_FIELD_NUMBER: _ClassVar[int]
    ERROR_CODE_FIELD_NUMBER: _ClassVar[int]
    ERROR_DETAIL_FIELD_NUMBER: _ClassVar[int]
    FAILED_NODE_FIELD_NUMBER: _ClassVar[int]
    FAILED_LINK_FROM_FIELD_NUMBER: _ClassVar[int]
    FAILED_LINK_TO_FIELD_NUMBER: _ClassVar[int]
    hold_ids: _containers.RepeatedScalarFieldContainer[str]
    posted: bool
    closed: bool
    error_code: str
    error_detail: str
    failed_node: str
    failed_link_from: str
    failed_link_to: str
    def __init__(self, hold_ids: _Optional[_Iterable[str]] = ..., posted: _Optional[bool] = ..., closed: _Optional[bool] = ..., error_code: _Optional[str] = ..., error_detail: _Optional[str] = ..., failed_node: _Optional[str] = ..., failed_link_from: _Optional[str] = ..., failed_link_to: _Optional[str] = ...) -> None: ...

class ArmHoldPointRequest(_message.Message):
    __slots__ = ("hold_ms_max",)
    HOLD_MS_MAX_FIELD_NUMBER: _ClassVar[int]
    hold_ms_max: int
    def __init__(self, hold_ms_max: _Optional[int] = ...) -> None: ...

class GetHoldPointRequest(_message.Message):
    __slots__ = ("wait_ms",)
    WAIT_MS_FIELD_NUMBER: _ClassVar[int]
    wait_ms: int
    def __init__(self, wait_ms: _Optional[int] = ...) -> None: ...

class HoldPointState(_message.Message):
    __slots__ = ("state", "payment_id", "attempt")
    STATE_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    state: str
    payment_id: str
    attempt: int
    def __init__(self, state: _Optional[str] = ..., payment_id: _Optional[str] = ..., attempt: _Optional[int] = ...) -> None: ...

class ExitRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ExitReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class LinkEvent(_message.Message):
    __slots__ = ("link", "entry_seq")
    LINK_FIELD_NUMBER: _ClassVar[int]
    ENTRY_SEQ_FIELD_NUMBER: _ClassVar[int]
    link: LinkRecord
    entry_seq: int
    def __init__(self, link: _Optional[_Union[LinkRecord, _Mapping]] = ..., entry_seq: _Optional[int] = ...) -> None: ...

class NodeEvent(_message.Message):
    __slots__ = ("node",)
    NODE_FIELD_NUMBER: _ClassVar[int]
    node: NodeRecord
    def __init__(self, node: _Optional[_Union[NodeRecord, _Mapping]] = ...) -> None: ...

class Anchor(_message.Message):
    __slots__ = ("seq", "hash", "epoch")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    seq: int
    hash: bytes
    epoch: int
    def __init__(self, seq: _Optional[int] = ..., hash: _Optional[bytes] = ..., epoch: _Optional[int] = ...) -> None: ...
