"""The gateway's refusals as errors with a cure, and whether the thing may have been done all the same."""

from plm.domain.errors import Code

from plmkit.console import ExitCode, KitError

# Codes of this side of the wire, beside plm.domain.errors.Code: no answer came, or none that the gateway wrote.
UNREACHABLE = "unreachable"
NO_ANSWER = "no_answer"
BAD_ANSWER = "bad_answer"

# 409 as a rule is an answer; these two say that the same request is being worked on right now.
_IN_PROGRESS = frozenset({Code.PAYMENT_IN_PROGRESS, Code.ATTEMPT_OPEN})

# These judge whoever asks, or where, and not what was asked.
_UNFIT = frozenset(
    {UNREACHABLE, BAD_ANSWER, Code.UNAUTHENTICATED, Code.FORBIDDEN, Code.DEBUG_DISABLED}
)

_RETRYABLE_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})

_STATUS_OF_PLATFORM = "plm status (what runs, what is wrong, what to do next)"
_ASK_AGAIN = "plm status (is a node down?), then the same command with the same --key"
_CURES: dict[str, str] = {
    Code.INVALID_AMOUNT: "write the amount as a decimal number above zero, such as 10000.00",
    Code.AMOUNT_TOO_LARGE: "pay a smaller amount",
    Code.UNKNOWN_CURRENCY: "use the currency of the nodes: kubectl get meshnodes -n plm -o wide",
    Code.CURRENCY_MISMATCH: "use the currency of the nodes: kubectl get meshnodes -n plm -o wide",
    Code.UNKNOWN_NODE: "kubectl get meshnodes -n plm",
    Code.INSUFFICIENT_FUNDS: "pay less, or raise liquidityVolume of the link: kubectl edit meshnode -n plm",
    Code.SAME_NODE: "name two different nodes",
    Code.UNAUTHENTICATED: "name this platform's own installation with PLM_STATE_DIR: its credentials.json has the key",
    Code.FORBIDDEN: "use a key whose client may pay from this node",
    Code.DEBUG_DISABLED: "set plm:debugEnabled to true in the stack and run plm up",
    Code.KEY_REUSED: "use another --key, or repeat the first request exactly",
    Code.ATTEMPTS_EXHAUSTED: "plm status (is a node down?), then pay again with another --key",
    Code.NO_ROUTE: _ASK_AGAIN,
    Code.NODE_UNREACHABLE: _ASK_AGAIN,
    Code.OVERLOADED: "wait a little, then the same command with the same --key",
    Code.DEADLINE_EXCEEDED: "the same command with the same --key",
    Code.PAYMENT_IN_PROGRESS: "the same command with the same --key",
    Code.LEDGER_UNAVAILABLE: "plm status, then the same command with the same --key",
    UNREACHABLE: _STATUS_OF_PLATFORM,
    NO_ANSWER: "the same command with the same --key: it pays at most once",
    BAD_ANSWER: "plm logs gateway",
}


class Problem(KitError):
    """A request that brought no result. `effect_unknown`: it may have been carried out all the same."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        status: int = 0,
        effect_unknown: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        self.code = code
        self.detail = detail
        self.status = status
        self.effect_unknown = effect_unknown
        self.retry_after_s = retry_after_s
        super().__init__(f"{detail} ({code})", cure_of(code), self._exit_code)

    @property
    def is_retryable(self) -> bool:
        """Whether the same request, sent again with the same key, may get another answer."""
        return self.code in _IN_PROGRESS or self.status == 0 or self.status in _RETRYABLE_STATUS

    @property
    def is_final(self) -> bool:
        """Whether this answer stands: refused, nothing was done, and asking again gives the same."""
        is_answer = self.code not in {BAD_ANSWER, Code.UNAUTHENTICATED}
        return is_answer and not self.is_retryable and not self.effect_unknown

    @property
    def _exit_code(self) -> ExitCode:
        if self.code in _UNFIT:
            return ExitCode.UNFIT_ENVIRONMENT
        # Whoever reads 1 as a verdict, that the ledger is broken for example, must not read it where nobody judged.
        return ExitCode.CHECK_FAILED if self.is_final else ExitCode.NO_ANSWER_YET


def cure_of(code: str) -> str:
    """The next thing to type for a code."""
    return _CURES.get(code, _STATUS_OF_PLATFORM)
