-- needs: opt_out
-- Whether an opt-out bars a verification: of everything (the key itself, as before there were scopes), or
-- of one of the scopes that it falls under ("app:shop profile:<id>").
local function opted_out(scopes)
  local of = { opt_out }
  -- Same recipient, so same partition and slot: the keys may be built here.
  for scope in string.gmatch(scopes or '', '%S+') do of[#of + 1] = opt_out .. ':' .. scope end
  return redis.call('EXISTS', unpack(of)) > 0
end
