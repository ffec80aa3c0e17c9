# SPDX-License-Identifier: Apache-2.0
"""Seven illnesses of the heart and the circulation."""

from __future__ import annotations

from simulations._phrases.condition import Condition, condition

CONDITIONS: tuple[Condition, ...] = (
    condition(
        names="systolic heart failure; dilated cardiomyopathy; reduced pump function",
        complaints="swollen ankles and needing three pillows at night; breathlessness lying flat and weight gain; "
        "waking at night gasping, with leg swelling; tiredness on stairs and tight shoes by evening",
        findings="raised jugular veins and pitting edema to the knees; a third heart sound with fine basal crackles; "
        "a displaced apex beat and cool feet; dependent edema of both shins",
        studies="an ejection fraction of 30 percent; a natriuretic peptide of four times the limit; "
        "a dilated left ventricle on echo",
        drugs="furosemide; carvedilol; sacubitril with valsartan; spironolactone",
        plans="restrict fluids and weigh daily; raise the loop diuretic; titrate the beta blocker slowly",
    ),
    condition(
        names="atrial fibrillation; paroxysmal atrial flutter; a fast irregular rhythm",
        complaints="palpitations and light-headedness; a racing irregular heartbeat; "
        "fluttering in the chest that comes and goes; sudden pounding pulse with faintness",
        findings="an irregularly irregular pulse; a pulse deficit at the apex; a rapid uneven ventricular rate",
        studies="absent P waves on the tracing; flutter waves on telemetry; an enlarged left atrium",
        drugs="apixaban; bisoprolol; flecainide; amiodarone",
        plans="discuss electrical cardioversion; start anticoagulation for stroke prevention; refer for ablation",
    ),
    condition(
        names="stable angina; coronary artery disease; ischemic chest pain",
        complaints="pressure in the chest on hills that eases with rest; squeezing chest pain into the left arm; "
        "tightness behind the breastbone on exertion; jaw and arm ache when walking in the cold",
        findings="a fourth heart sound during pain; xanthelasma and weak foot pulses; sweating with pain, normal "
        "sounds",
        studies="ST depression on the treadmill; a tight left anterior descending stenosis; a slightly raised troponin",
        drugs="sublingual nitroglycerin; atorvastatin; clopidogrel; metoprolol",
        plans="arrange coronary angiography; stent the culprit vessel; enrol in exercise rehabilitation",
    ),
    condition(
        names="aortic stenosis; calcific valve disease; mitral regurgitation",
        complaints="fainting on exertion; breathlessness and near blackout on climbing; "
        "tiring quickly with chest heaviness uphill; reduced exercise tolerance with dizziness on effort",
        findings="a harsh systolic murmur into the neck; a slow rising pulse; a blowing murmur toward the axilla",
        studies="a valve area of 0.8 square centimeters; a mean gradient of 45 mmHg; thickened restricted "
        "leaflets on echo",
        drugs="ramipril; low-dose torsemide; losartan",
        plans="present to the valve team; assess for transcatheter replacement; repeat the echo in six months",
    ),
    condition(
        names="hypertensive urgency; resistant hypertension; severe high blood pressure",
        complaints="very high home pressure readings and headache; pounding in the head with pressures over 200; "
        "poorly controlled blood pressure despite three tablets; blurred vision with alarming cuff readings",
        findings="a cuff pressure of 212 over 118 in both arms; a heaving apex and loud second sound; narrowed "
        "retinal arteries",
        studies="left ventricular hypertrophy on the tracing; a high aldosterone ratio; raised ambulatory pressures",
        drugs="amlodipine; lisinopril; chlorthalidone; labetalol",
        plans="lower the pressure gradually; check renal artery flow; add a thiazide-type diuretic",
    ),
    condition(
        names="acute pericarditis; myopericarditis; a pericardial effusion",
        complaints="sharp chest pain that eases on leaning forward; stabbing pain behind the breastbone when lying "
        "back; "
        "chest ache after a viral illness, worse flat",
        findings="a scratchy friction rub at the left sternal edge; muffled heart sounds; a soft three-part rub",
        studies="widespread saddle-shaped ST elevation; a thin rim of fluid around the heart; a raised troponin "
        "and CRP",
        drugs="colchicine; high-dose ibuprofen; indomethacin",
        plans="avoid sport for three months; repeat the echo for fluid; taper the anti-inflammatory",
    ),
    condition(
        names="complete heart block; sick sinus syndrome; symptomatic bradycardia",
        complaints="blackouts without warning; dizzy spells with a very slow pulse; "
        "two collapses and a pulse in the thirties; faintness on standing and slow heartbeat",
        findings="a regular pulse of 36; cannon waves in the neck; a slow pulse that does not rise with effort",
        studies="dissociated P waves and a wide escape rhythm; pauses of four seconds on the monitor; second "
        "degree block on Holter",
        drugs="atropine; isoprenaline; aspirin",
        plans="implant a dual chamber pacemaker; stop rate-slowing tablets; interrogate the pacing device",
    ),
)
