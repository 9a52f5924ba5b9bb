-- needs: opt_out
-- Whether an opt-out bars a verification: of everything (the key itself, as before there were scopes), or
-- of one of the scopes that it falls under ("app:shop profile:<id>").
local function opted_out(scopes)
  if redis.call('EXISTS', opt_out) == 1 then return true end
  for scope in string.gmatch(scopes or '', '%S+') do
    -- Same recipient, so same partition and slot: the key may be built here.
    if redis.call('EXISTS', opt_out .. ':' .. scope) == 1 then return true end
  end
  return false
end
