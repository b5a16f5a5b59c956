"""Governance of a league: what its members propose, vote on, and state about themselves, as signed JSON.

Three kinds of ledger transactions carry it, each with one compact JWS (`hansa.core.jws`) under the header
of a JAdES B-B signature, with a media type of its own:

    {"kind":"propose","proposal":"<JWS>"}     `application/vnd.hansa.proposal+json`
    {"kind":"vote","vote":"<JWS>"}            `application/vnd.hansa.vote+json`
    {"kind":"member","statement":"<JWS>"}     `application/vnd.hansa.statement+json`

Every payload is a closed form (`hansa.core.closed_json`), names the sender's DID, the `league` for which
alone it is meant (so nothing that was signed in one league is worth anything in another, whoever is a
member of both), and a `seq`, which grows strictly for a sender over the three kinds (so a replay is
refused by one look-up).

    proposal     {base, changes, expires_height, expires_time_ms, id, league, note?, proposer, seq}
    vote         {choice: "yes"|"no", league, proposal, seq, voter}
    statement    {action, league, member, seq}

A proposal is named by its hash, SHA-256 of its compact JWS in hex (`proposal_hash`); votes name that. Of
several votes of one voter the last counts.

`changes` is a list over a closed union (`hansa.core.governance.changes`), `base` the elements of the
state that the proposal was written against, each with the hash that it had then
(`hansa.core.governance.elements`): if one of them is another when the votes are counted, the proposal is
void.

`action` is a closed union too (`hansa.core.governance.statements`): what a member may say about itself
without anybody's vote. It can neither give itself power nor change who it is.

Keys are registered with a *proof of possession* alone (`hansa.core.governance.possession`): a JWS by the
key itself that names the member, the league and the use. So nobody can register a key that is another's.
A candidate, who is no member and cannot send anything, writes a *candidacy*: a file that it signs, which
a member proposes in `member.put`.
"""
