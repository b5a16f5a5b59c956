"""Headers, votes and validator sets are those of the engine; what was not signed is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey

from hansa.core.errors import Code, Refused
from hansa.pubsub.light.chain.blocks import (
    ABSENT,
    FOR_BLOCK,
    FOR_NIL,
    LightBlock,
    SignedVote,
    has_more_than,
    sign_bytes,
    verified_signers,
    without_invalid_votes,
)
from hansa.pubsub.light.chain.forms import LIGHT_BLOCK, light_block_fields, read_light_block
from hansa.pubsub.light.chain.header import BlockId, Header
from hansa.pubsub.light.chain.validators import ML_DSA_65, LightValidator, ValidatorSet
from hansa.pubsub.light.chain.verifying import (
    NotEnoughTrust,
    is_expired,
    trusted_block,
    trusted_genesis,
    verified,
)
from tests.support.light_chain import (
    BLOCK_NS,
    CHAIN_ID,
    START_NS,
    Signer,
    digest,
    light_block,
    signed,
    signer_set,
)

FOUR = [Signer(f"v{number}") for number in range(4)]
OTHERS = [Signer(f"w{number}") for number in range(4)]
GENESIS = trusted_genesis(CHAIN_ID, START_NS, signer_set(*FOUR))


def refusal(block: LightBlock) -> str:
    """Why a light block is not valid by itself."""
    with pytest.raises(Refused) as caught:
        verified_signers(block)
    assert caught.value.code is Code.PROOF_INVALID
    return caught.value.message


def replaced_votes(block: LightBlock, *votes: SignedVote) -> LightBlock:
    return msgspec.structs.replace(block, commit=msgspec.structs.replace(block.commit, votes=votes))


def test_a_header_has_the_hash_that_cometbft_gives_it() -> None:
    """`TestHeaderHash` of CometBFT v0.40, `types/block_test.go`."""
    time_ns = int(datetime(2019, 10, 13, 16, 14, 44, tzinfo=UTC).timestamp()) * 10**9
    header = Header(
        version_block=1,
        version_app=2,
        chain_id="chainId",
        height=3,
        time_ns=time_ns,
        last_block_id=BlockId(bytes(32), 6, bytes(32)),
        last_commit_hash=digest("last_commit_hash"),
        data_hash=digest("data_hash"),
        validators_hash=digest("validators_hash"),
        next_validators_hash=digest("next_validators_hash"),
        consensus_hash=digest("consensus_hash"),
        app_hash=digest("app_hash"),
        last_results_hash=digest("last_results_hash"),
        evidence_hash=digest("evidence_hash"),
        proposer_address=digest("proposer_address")[:20],
    )
    assert header.hash.hex().upper() == "F740121F553B5418C3EFBD343C2DBFE9E007BB67B0D020A0741374BAB65242A4"


def test_a_vote_is_signed_as_cometbft_does() -> None:
    """Case 1 of `TestVoteSignBytesTestVectors` of CometBFT v0.40: no block, no name, the zero time of Go."""
    block = light_block(1, FOUR)
    block = msgspec.structs.replace(
        block,
        header=msgspec.structs.replace(block.header, chain_id=""),
        commit=msgspec.structs.replace(block.commit, round=1),
    )
    zero_time_ns = int(datetime(1, 1, 1, tzinfo=UTC).timestamp()) * 10**9
    assert sign_bytes(block, SignedVote(FOR_NIL, zero_time_ns)).hex() == (
        "2108021101000000000000001901000000000000002a0b088092b8c398feffffff01"
    )


def test_more_than_two_thirds_of_the_power_are_enough_and_two_thirds_are_not() -> None:
    six = [Signer(f"s{number}") for number in range(6)]
    assert len(verified_signers(light_block(5, six, signers=six[:5]))) == 5
    assert "no more than 2/3" in refusal(light_block(5, six, signers=six[:4]))


def test_a_third_of_the_signatures_is_not_enough() -> None:
    assert "no more than 2/3" in refusal(light_block(5, FOUR, signers=FOUR[:1]))


def test_a_signature_of_another_ledger_is_refused() -> None:
    block = light_block(5, FOUR, chain_id="hansa-other")
    moved = msgspec.structs.replace(block, header=msgspec.structs.replace(block.header, chain_id=CHAIN_ID))
    assert "signature of validator 1 is wrong" in refusal(moved)


def test_votes_for_nil_count_for_nothing_and_are_verified_all_the_same() -> None:
    block = light_block(5, FOUR, signers=[])
    mostly_nil = signed(block, FOUR, flags={0: FOR_NIL, 1: FOR_NIL})
    assert "no more than 2/3" in refusal(mostly_nil)
    one_nil = signed(block, FOUR, flags={3: FOR_NIL})
    assert FOUR[3].validator.address not in verified_signers(one_nil)
    votes = list(one_nil.commit.votes)
    votes[3] = msgspec.structs.replace(votes[3], signature=bytes(64))
    assert "signature of validator 4 is wrong" in refusal(replaced_votes(one_nil, *votes))


def test_one_signature_in_several_places_is_refused() -> None:
    block = light_block(5, FOUR, signers=FOUR[:1])
    assert "validator 2 is wrong" in refusal(replaced_votes(block, *[block.commit.votes[0]] * 4))


def test_a_set_that_names_a_key_twice_is_refused() -> None:
    block = light_block(5, [FOUR[0], FOUR[0], FOUR[0], FOUR[1]], signers=FOUR[:1])
    assert "same key twice" in refusal(block)


def test_a_set_that_the_header_does_not_name_is_refused() -> None:
    block = msgspec.structs.replace(light_block(5, FOUR), validators=signer_set(*OTHERS))
    assert "not those that its header names" in refusal(block)


def test_a_header_changed_after_it_was_signed_is_refused() -> None:
    block = light_block(5, FOUR)
    header = msgspec.structs.replace(block.header, app_hash=digest("forged"))
    assert "is wrong" in refusal(msgspec.structs.replace(block, header=header))


def test_a_commit_with_a_place_too_few_or_too_many_is_refused() -> None:
    block = light_block(5, FOUR)
    for votes in (block.commit.votes[:3], (*block.commit.votes, SignedVote())):
        assert "one place for each validator" in refusal(replaced_votes(block, *votes))


def test_an_absent_validator_with_a_signature_is_refused() -> None:
    block = light_block(5, FOUR)
    votes = [msgspec.structs.replace(block.commit.votes[0], flag=ABSENT), *block.commit.votes[1:]]
    assert "absent" in refusal(replaced_votes(block, *votes))


def test_an_enormous_set_is_refused_before_anything_is_verified() -> None:
    block = light_block(5, FOUR)
    many = ValidatorSet(block.validators.validators * 1000)
    assert "1 to 1024" in refusal(msgspec.structs.replace(block, validators=many))


def test_what_does_not_verify_here_is_left_out_of_what_is_handed_on() -> None:
    block = light_block(5, FOUR)
    votes = [*block.commit.votes[:3], msgspec.structs.replace(block.commit.votes[3], signature=bytes(64))]
    cleaned = without_invalid_votes(replaced_votes(block, *votes))
    assert cleaned.commit.votes == (*block.commit.votes[:3], SignedVote())
    assert len(verified_signers(cleaned)) == 3


def test_the_next_height_follows_when_the_set_is_the_announced_one() -> None:
    first = verified(GENESIS, light_block(1, FOUR, next_validators=OTHERS))
    second = light_block(2, OTHERS)
    assert verified(first, second).height == 2
    with pytest.raises(Refused, match="not those that the header before it names"):
        verified(first, light_block(2, FOUR))


def test_heights_are_skipped_while_more_than_a_third_of_the_trusted_power_signs() -> None:
    trusted = verified(GENESIS, light_block(3, FOUR))
    assert verified(trusted, light_block(50, [*FOUR[:2], *OTHERS[:2]])).height == 50
    three = [Signer(f"t{number}") for number in range(3)]
    third = trusted_genesis(CHAIN_ID, START_NS, signer_set(*three))
    with pytest.raises(NotEnoughTrust):
        verified(third, light_block(50, [three[0], *OTHERS]))


def test_a_set_of_strangers_is_not_trusted_however_well_it_signs() -> None:
    with pytest.raises(NotEnoughTrust):
        verified(GENESIS, light_block(50, OTHERS))


def test_a_stale_set_cannot_sign_for_the_present_one() -> None:
    """The old validators, who left, sign a block of their own after the change."""
    changed = verified(GENESIS, light_block(1, FOUR, next_validators=OTHERS))
    changed = verified(changed, light_block(2, OTHERS))
    with pytest.raises(NotEnoughTrust):
        verified(changed, light_block(9, FOUR))


def test_headers_of_another_ledger_an_earlier_height_or_the_future_are_refused() -> None:
    trusted = verified(GENESIS, light_block(5, FOUR))
    with pytest.raises(Refused, match="of the ledger 'hansa-other'"):
        verified(trusted, light_block(6, FOUR, chain_id="hansa-other"))
    for height in (4, 5):
        with pytest.raises(Refused, match="does not come after"):
            verified(trusted, light_block(height, FOUR))
    with pytest.raises(Refused, match="time is not after"):
        verified(trusted, light_block(6, FOUR, time_ns=START_NS + 5 * BLOCK_NS))
    with pytest.raises(Refused, match="in the future"):
        verified(trusted, light_block(9, FOUR), latest_time_ns=START_NS + 8 * BLOCK_NS)


def test_what_is_trusted_expires_with_the_trust_period() -> None:
    trusted = trusted_block(light_block(5, FOUR))
    assert not is_expired(trusted, 10.0, trusted.time_ns + 9 * 10**9)
    assert is_expired(trusted, 10.0, trusted.time_ns + 10 * 10**9)


def test_a_validator_counts_once_whatever_its_power() -> None:
    heavy = [Signer("heavy", 100), *[Signer(f"l{number}", 1) for number in range(9)]]
    assert has_more_than(Fraction(2, 3), frozenset({heavy[0].validator.address}), signer_set(*heavy))


def test_a_post_quantum_validator_is_verified_like_any_other() -> None:
    key = MLDSA65PrivateKey.generate()
    validator = LightValidator(key.public_key().public_bytes_raw(), 10, ML_DSA_65.name)
    template = light_block(5, FOUR[:1])
    validators = ValidatorSet((validator,))
    header = msgspec.structs.replace(template.header, validators_hash=validators.hash)
    block = LightBlock(header, template.commit, validators)
    vote = SignedVote(FOR_BLOCK, START_NS)
    vote = msgspec.structs.replace(vote, signature=key.sign(sign_bytes(block, vote)))
    block = replaced_votes(block, vote)
    assert verified_signers(block) == {validator.address}
    raw = LIGHT_BLOCK.write(light_block_fields(block))
    assert read_light_block(LIGHT_BLOCK.read(raw), CHAIN_ID) == block
    wrong = msgspec.structs.replace(vote, signature=bytes(len(vote.signature)))
    assert "is wrong" in refusal(replaced_votes(block, wrong))
