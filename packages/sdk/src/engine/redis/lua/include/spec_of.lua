--- Spec of a record's control field, "" when it is not controlled.
local function spec_of(control)
  return match(control, "^[^\31]*\31([^\31]*)") or ""
end
