-- needs: audit
-- A person stands in the trail under a pseudonym. `s:<look-up id>` alone ties the two, as long as a chargeback
-- may still be disputed (13 months) after the last event; it is prolonged once a day.
local tied, prolonged_below = 400 * 86400, 399 * 86400
-- Written beside each event: layout 1 wrote none, and named persons by their look-up ids.
local form = 2
-- Events of one script are mostly of one person.
local last_id, last_pseudonym

local function pseudonym_of(id, proposed)
  if id == last_id then return last_pseudonym end
  local key = string.sub(audit, 1, -6) .. 's:' .. id
  local pseudonym = redis.call('GET', key)
  if not pseudonym then
    if proposed == '' then return nil end
    pseudonym = proposed
    redis.call('SET', key, pseudonym, 'EX', tied)
  elseif redis.call('TTL', key) < prolonged_below then
    redis.call('EXPIRE', key, tied)
  end
  last_id, last_pseudonym = id, pseudonym
  return pseudonym
end

-- `"recipient":"<look-up id>.<proposed pseudonym>"` becomes the pseudonym; without a proposal, and with no
-- tie, the event is nobody's.
local function under_pseudonym(event)
  local _, name = string.find(event, '"recipient":', 1, true)
  local _, last, id, proposed = string.find(event, '^"(%x+)%.?(%x*)"', (name or #event) + 1)
  if not last then return event end
  local pseudonym = pseudonym_of(id, proposed)
  return string.sub(event, 1, name) .. (pseudonym and '"' .. pseudonym .. '"' or 'null') .. string.sub(event, last + 1)
end
